package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
)

// packet is one TCP segment, as it was captured.
type packet struct {
	at       int64 // nanoseconds since the epoch
	from, to netip.AddrPort
	seq      uint32
	syn      bool
	length   int    // bytes of payload on the wire
	payload  []byte // as many of them as were captured; good until the next call of next
}

// pcapReader reads a capture file in the classic format: a header of 24 bytes,
// then for each packet 16 bytes of header and what was captured of it, all in the
// byte order of the machine that wrote it, which the magic number tells.
type pcapReader struct {
	in      io.Reader
	order   binary.ByteOrder
	unit    int64 // nanoseconds in one unit of a fraction of a second
	buf     []byte
	skipped int // packets that were no whole TCP segment: another protocol, a fragment, headers cut off
}

const (
	magicMicro   = 0xa1b2c3d4
	magicNano    = 0xa1b23c4d
	linkEthernet = 1
	// largestPacket bounds what a damaged length may make this program allocate. It
	// is the largest snapshot length that tcpdump takes.
	largestPacket = 256 << 10
)

func newPcapReader(r io.Reader) (*pcapReader, error) {
	p := &pcapReader{in: bufio.NewReaderSize(r, 1<<20), buf: make([]byte, largestPacket)}
	header := p.buf[:24]
	if _, err := io.ReadFull(p.in, header); err != nil {
		return nil, fmt.Errorf("capture: header: %w", err)
	}
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		switch order.Uint32(header) {
		case magicMicro:
			p.order, p.unit = order, 1000
		case magicNano:
			p.order, p.unit = order, 1
		}
	}
	if p.order == nil {
		return nil, fmt.Errorf("capture: not a pcap file: it begins with % x", header[:4])
	}
	if major, minor := p.order.Uint16(header[4:]), p.order.Uint16(header[6:]); major != 2 || minor != 4 {
		return nil, fmt.Errorf("capture: version %d.%d of the format, want 2.4", major, minor)
	}
	// The upper bits say whether frames end with a checksum.
	if link := p.order.Uint32(header[20:]) & 0x0fffffff; link != linkEthernet {
		return nil, fmt.Errorf("capture: link type %d, want %d (Ethernet), which is that of Linux' lo", link, linkEthernet)
	}
	return p, nil
}

// next gives the next TCP segment, and io.EOF after the last. A file that ends
// within a packet is an error.
func (p *pcapReader) next() (packet, error) {
	for {
		header := p.buf[:16]
		if _, err := io.ReadFull(p.in, header); errors.Is(err, io.EOF) {
			return packet{}, io.EOF
		} else if err != nil {
			return packet{}, fmt.Errorf("capture: packet header: %w", err)
		}
		seconds, fraction := p.order.Uint32(header), p.order.Uint32(header[4:])
		captured, length := p.order.Uint32(header[8:]), p.order.Uint32(header[12:])
		if captured > largestPacket || captured > length {
			return packet{}, fmt.Errorf("capture: damaged: %d bytes captured of a packet of %d", captured, length)
		}
		frame := p.buf[:captured]
		if _, err := io.ReadFull(p.in, frame); err != nil {
			return packet{}, fmt.Errorf("capture: packet of %d bytes: %w", captured, noEOF(err))
		}
		got, ok := parseFrame(frame, int(length))
		if !ok {
			p.skipped++
			continue
		}
		got.at = int64(seconds)*1e9 + int64(fraction)*p.unit
		return got, nil
	}
}

// noEOF keeps an end in the middle from passing for the end.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

const (
	ethernetHeader = 14
	etherIPv4      = 0x0800
	etherIPv6      = 0x86dd
	protocolTCP    = 6
)

// parseFrame finds the TCP segment in an Ethernet frame that was length bytes
// long on the wire.
func parseFrame(frame []byte, length int) (packet, bool) {
	if len(frame) < ethernetHeader {
		return packet{}, false
	}
	kind := binary.BigEndian.Uint16(frame[12:])
	frame, length = frame[ethernetHeader:], length-ethernetHeader
	switch kind {
	case etherIPv4:
		return parseIPv4(frame, length)
	case etherIPv6:
		return parseIPv6(frame, length)
	}
	return packet{}, false
}

// parseIPv4 reads the header of RFC 791, section 3.1.
func parseIPv4(b []byte, length int) (packet, bool) {
	if len(b) < 20 || b[0]>>4 != 4 || b[9] != protocolTCP {
		return packet{}, false
	}
	const moreFragmentsOrOffset = 0x3fff
	header := int(b[0]&15) * 4
	if header < 20 || len(b) < header || binary.BigEndian.Uint16(b[6:])&moreFragmentsOrOffset != 0 {
		return packet{}, false
	}
	// A segment that the kernel has not cut up yet may be too long for the field,
	// which is then 0.
	if total := int(binary.BigEndian.Uint16(b[2:])); total != 0 {
		length = total
	}
	from, _ := netip.AddrFromSlice(b[12:16])
	to, _ := netip.AddrFromSlice(b[16:20])
	return parseTCP(b[header:], length-header, from, to)
}

// parseIPv6 reads the header of RFC 8200, section 3, and passes over extension
// headers, section 4, other than fragments.
func parseIPv6(b []byte, length int) (packet, bool) {
	const header = 40
	if len(b) < header || b[0]>>4 != 6 {
		return packet{}, false
	}
	if payload := int(binary.BigEndian.Uint16(b[4:])); payload != 0 {
		length = header + payload
	}
	from, _ := netip.AddrFromSlice(b[8:24])
	to, _ := netip.AddrFromSlice(b[24:40])
	kind := b[6]
	b, length = b[header:], length-header
	const hopByHop, routing, destination = 0, 43, 60
	for kind == hopByHop || kind == routing || kind == destination {
		if len(b) < 8 {
			return packet{}, false
		}
		size := 8 + 8*int(b[1])
		if len(b) < size {
			return packet{}, false
		}
		kind = b[0]
		b, length = b[size:], length-size
	}
	if kind != protocolTCP {
		return packet{}, false
	}
	return parseTCP(b, length, from, to)
}

// parseTCP reads the header of RFC 9293, section 3.1. The frame may have been
// padded beyond length, or cut short of it.
func parseTCP(b []byte, length int, from, to netip.Addr) (packet, bool) {
	if len(b) < 20 {
		return packet{}, false
	}
	header := int(b[12]>>4) * 4
	if header < 20 || header > len(b) || header > length {
		return packet{}, false
	}
	const synFlag = 2
	length -= header
	payload := b[header:]
	return packet{
		from:    netip.AddrPortFrom(from, binary.BigEndian.Uint16(b)),
		to:      netip.AddrPortFrom(to, binary.BigEndian.Uint16(b[2:])),
		seq:     binary.BigEndian.Uint32(b[4:]),
		syn:     b[13]&synFlag != 0,
		length:  length,
		payload: payload[:min(len(payload), length)],
	}, true
}
