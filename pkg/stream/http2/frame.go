package http2

import "encoding/binary"

// frameType is the type of a frame, RFC 9113 section 6.
type frameType uint8

const (
	frameData frameType = iota
	frameHeaders
	framePriority
	frameReset
	frameSettings
	framePushPromise
	framePing
	frameGoAway
	frameWindowUpdate
	frameContinuation
)

//nolint:gochecknoglobals // a constant table
var frameNames = [...]string{
	"DATA", "HEADERS", "PRIORITY", "RST_STREAM", "SETTINGS", "PUSH_PROMISE", "PING", "GOAWAY", "WINDOW_UPDATE", "CONTINUATION",
}

func (t frameType) String() string {
	if int(t) < len(frameNames) {
		return frameNames[t]
	}
	return "frame of unknown type"
}

// Flags of frames.
const (
	flagEndStream  = 0x1 // DATA, HEADERS
	flagAck        = 0x1 // SETTINGS, PING
	flagEndHeaders = 0x4
	flagPadded     = 0x8
	flagPriority   = 0x20
)

// The settings, RFC 9113 section 6.5.2.
const (
	settingTableSize     = 1
	settingPush          = 2
	settingMaxStreams    = 3
	settingWindow        = 4
	settingMaxFrame      = 5
	settingMaxHeaderList = 6
)

const (
	frameHeadSize = 9
	// maxFrame is the largest payload of a frame in either direction: the smallest
	// bound that there may be, and the one that stands unless a side raises it.
	maxFrame  = 16 << 10
	maxWindow = 1<<31 - 1
	maxStream = 1<<31 - 1
	// defaultWindow is that of a connection, and of streams until a SETTINGS frame.
	defaultWindow = 1<<16 - 1
)

// The windows of this side.
const (
	streamWindow = 4 << 20
	connWindow   = 64 << 20
)

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

func appendFrameHead(dst []byte, length int, t frameType, flags uint8, id uint32) []byte {
	dst = append(dst, byte(length>>16), byte(length>>8), byte(length), byte(t), flags)
	return binary.BigEndian.AppendUint32(dst, id)
}

func appendSetting(dst []byte, id uint16, value uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint16(dst, id), value)
}

func appendWindowUpdate(dst []byte, id uint32, n int32) []byte {
	return binary.BigEndian.AppendUint32(appendFrameHead(dst, 4, frameWindowUpdate, 0, id), uint32(n))
}

func appendReset(dst []byte, id uint32, c Code) []byte {
	return binary.BigEndian.AppendUint32(appendFrameHead(dst, 4, frameReset, 0, id), uint32(c))
}

// appendHeaders is a HEADERS frame, and CONTINUATION frames for what does not fit.
func appendHeaders(dst []byte, id uint32, block []byte, endStream bool) []byte {
	t, flags := frameHeaders, uint8(0)
	if endStream {
		flags = flagEndStream
	}
	for {
		part := block[:min(len(block), maxFrame)]
		block = block[len(part):]
		if len(block) == 0 {
			flags |= flagEndHeaders
		}
		dst = append(appendFrameHead(dst, len(part), t, flags, id), part...)
		if len(block) == 0 {
			return dst
		}
		t, flags = frameContinuation, 0
	}
}
