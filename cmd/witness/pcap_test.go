package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
)

const (
	fin = 1
	syn = 2
	ack = 16
)

// wire is one TCP segment to be captured.
type wire struct {
	at       int64
	from, to string // addresses with ports
	seq      uint32
	flags    byte
	payload  string
	options  int // bytes of TCP options
	ipMore   int // bytes of IP options, or of an IPv6 extension header
	noLength bool
}

// frame writes it as Linux' lo shows it.
func (w wire) frame() []byte {
	from, to := netip.MustParseAddrPort(w.from), netip.MustParseAddrPort(w.to)
	tcp := make([]byte, 20+w.options, 20+w.options+len(w.payload))
	binary.BigEndian.PutUint16(tcp, from.Port())
	binary.BigEndian.PutUint16(tcp[2:], to.Port())
	binary.BigEndian.PutUint32(tcp[4:], w.seq)
	tcp[12], tcp[13] = byte(len(tcp)/4)<<4, w.flags
	tcp = append(tcp, w.payload...)

	frame := make([]byte, 12, 14+60+len(tcp))
	if from.Addr().Is4() {
		ip := make([]byte, 20+w.ipMore)
		ip[0], ip[9] = byte(4<<4|len(ip)/4), 6
		binary.BigEndian.PutUint16(ip[6:], 0x4000) // don't fragment
		if !w.noLength {
			binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)+len(tcp)))
		}
		copy(ip[12:], from.Addr().AsSlice())
		copy(ip[16:], to.Addr().AsSlice())
		return append(append(append(frame, 8, 0), ip...), tcp...)
	}
	ip := make([]byte, 40+w.ipMore)
	ip[0], ip[6] = 6<<4, 6
	if w.ipMore > 0 {
		ip[6], ip[40], ip[41] = 60, 6, byte(w.ipMore/8-1)
	}
	if !w.noLength {
		binary.BigEndian.PutUint16(ip[4:], uint16(w.ipMore+len(tcp)))
	}
	copy(ip[8:], from.Addr().AsSlice())
	copy(ip[24:], to.Addr().AsSlice())
	return append(append(append(frame, 0x86, 0xdd), ip...), tcp...)
}

// dump is a capture file in the making.
type dump struct {
	order   binary.AppendByteOrder
	micro   bool
	snaplen int
	bytes.Buffer
}

func newDump(order binary.AppendByteOrder, micro bool) *dump {
	d := &dump{order: order, micro: micro, snaplen: 512}
	magic := uint32(magicNano)
	if micro {
		magic = magicMicro
	}
	header := order.AppendUint32(nil, magic)
	header = order.AppendUint16(header, 2)
	header = order.AppendUint16(header, 4)
	header = append(header, make([]byte, 8)...)
	header = order.AppendUint32(header, 512)
	header = order.AppendUint32(header, linkEthernet)
	d.Write(header)
	return d
}

// packet adds a frame, or what the snapshot length leaves of it.
func (d *dump) packet(at int64, frame []byte) {
	unit := int64(1)
	if d.micro {
		unit = 1000
	}
	header := d.order.AppendUint32(nil, uint32(at/1e9))
	header = d.order.AppendUint32(header, uint32(at%1e9/unit))
	header = d.order.AppendUint32(header, uint32(min(len(frame), d.snaplen)))
	header = d.order.AppendUint32(header, uint32(len(frame)))
	d.Write(header)
	d.Write(frame[:min(len(frame), d.snaplen)])
}

func (d *dump) add(segments ...wire) *dump {
	for _, w := range segments {
		d.packet(w.at, w.frame())
	}
	return d
}

// packets reads all of a capture.
func packets(t *testing.T, r io.Reader) (all []packet, skipped int) {
	t.Helper()
	p, err := newPcapReader(r)
	if err != nil {
		t.Fatal(err)
	}
	for {
		got, err := p.next()
		if errors.Is(err, io.EOF) {
			return all, p.skipped
		}
		if err != nil {
			t.Fatal(err)
		}
		got.payload = bytes.Clone(got.payload)
		all = append(all, got)
	}
}

func TestPcapFormats(t *testing.T) {
	const at = 1_795_442_782_948_295_525
	for _, test := range []struct {
		name  string
		order binary.AppendByteOrder
		micro bool
		want  int64
	}{
		{"little-endian, nanoseconds", binary.LittleEndian, false, at},
		{"big-endian, nanoseconds", binary.BigEndian, false, at},
		{"little-endian, microseconds", binary.LittleEndian, true, at / 1000 * 1000},
		{"big-endian, microseconds", binary.BigEndian, true, at / 1000 * 1000},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := newDump(test.order, test.micro).add(
				wire{at: at, from: "127.0.0.1:40000", to: "127.0.0.1:80", seq: 7, flags: syn, options: 20},
				wire{at: at + 1e9, from: "127.0.0.1:40000", to: "127.0.0.1:80", seq: 8, flags: ack, payload: "hello", options: 12},
			)
			got, skipped := packets(t, d)
			if len(got) != 2 || skipped != 0 {
				t.Fatalf("%d packets and %d skipped", len(got), skipped)
			}
			if p := got[0]; p.at != test.want || !p.syn || p.seq != 7 || p.length != 0 || p.from.String() != "127.0.0.1:40000" || p.to.String() != "127.0.0.1:80" {
				t.Errorf("the SYN: %+v", p)
			}
			if p := got[1]; p.at != test.want+1e9 || p.syn || p.length != 5 || string(p.payload) != "hello" {
				t.Errorf("the data: %+v", p)
			}
		})
	}
}

func TestPcapHeaders(t *testing.T) {
	long := strings.Repeat("x", 1000)
	for _, test := range []struct {
		name     string
		wire     wire
		captured int
	}{
		{"IPv4", wire{from: "127.0.0.1:1", to: "127.0.0.1:2", payload: "abc"}, 3},
		{"IPv4 with options", wire{from: "127.0.0.1:1", to: "127.0.0.1:2", payload: "abc", ipMore: 12, options: 40}, 3},
		{"IPv6", wire{from: "[::1]:1", to: "[::1]:2", payload: "abc", options: 12}, 3},
		{"IPv6 with an extension header", wire{from: "[::1]:1", to: "[::1]:2", payload: "abc", ipMore: 16}, 3},
		{"cut at the snapshot length", wire{from: "127.0.0.1:1", to: "127.0.0.1:2", payload: long, options: 12}, 512 - 14 - 20 - 32},
		{"too long for the length field", wire{from: "127.0.0.1:1", to: "127.0.0.1:2", payload: long, noLength: true}, 512 - 14 - 20 - 20},
		{"the same over IPv6", wire{from: "[::1]:1", to: "[::1]:2", payload: long, noLength: true}, 512 - 14 - 40 - 20},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, skipped := packets(t, newDump(binary.LittleEndian, false).add(test.wire))
			if len(got) != 1 || skipped != 0 {
				t.Fatalf("%d packets and %d skipped", len(got), skipped)
			}
			if p := got[0]; p.length != len(test.wire.payload) || string(p.payload) != test.wire.payload[:test.captured] {
				t.Errorf("%d bytes, %d of them captured; want %d and %d", p.length, len(p.payload), len(test.wire.payload), test.captured)
			}
		})
	}
}

func TestPcapSkips(t *testing.T) {
	good := wire{from: "127.0.0.1:1", to: "127.0.0.1:2", payload: "abc"}
	change := func(at int, value byte) []byte {
		frame := good.frame()
		frame[at] = value
		return frame
	}
	d := newDump(binary.LittleEndian, false)
	bad := [][]byte{
		change(13, 6),           // ARP
		change(12, 0x81),        // VLAN, which lo never has
		change(14+9, 17),        // UDP
		change(14+6, 0x20),      // a fragment
		change(14, 4<<4|1),      // an IP header too short
		change(14+20+12, 1<<4),  // a TCP header too short
		change(14+20+12, 15<<4), // one longer than the packet
		good.frame()[:14+20+10], // headers cut off
		good.frame()[:10],       // not even a frame
		wire{from: "[::1]:1", to: "[::1]:2", ipMore: 8}.frame()[:14+44], // an extension header cut off
	}
	for _, frame := range bad {
		d.packet(1, frame)
	}
	d.add(good)
	// A short frame may have been padded.
	d.packet(2, append(good.frame(), make([]byte, 10)...))
	got, skipped := packets(t, d)
	if len(got) != 2 || skipped != len(bad) {
		t.Fatalf("%d packets and %d skipped, want 2 and %d", len(got), skipped, len(bad))
	}
	if string(got[1].payload) != "abc" {
		t.Errorf("padding is part of %q", got[1].payload)
	}
}

func TestPcapDamaged(t *testing.T) {
	whole := newDump(binary.LittleEndian, false).add(wire{from: "127.0.0.1:1", to: "127.0.0.1:2", payload: "abc"}).Bytes()
	change := func(at int, value byte) []byte {
		b := bytes.Clone(whole)
		b[at] = value
		return b
	}
	for _, test := range []struct {
		name string
		file []byte
		want string
	}{
		{"empty", nil, "header"},
		{"half a header", whole[:12], "header"},
		{"not a capture", []byte("<html>the quick brown fox"), "not a pcap file"},
		{"the newer format", append([]byte{0x0a, 0x0d, 0x0d, 0x0a}, whole[4:]...), "not a pcap file"},
		{"another version", change(4, 3), "version 3.4"},
		{"another link", change(20, 113), "link type 113"},
		{"ends in a packet's header", whole[:24+8], "unexpected EOF"},
		{"ends in a packet", whole[:len(whole)-1], "unexpected EOF"},
		{"ends after a packet's header", whole[:24+16], "unexpected EOF"},
		{"a packet too long", change(24+11, 0x7f), "damaged"},
		{"more captured than there was", change(24+12, 1), "damaged"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := hear(bytes.NewReader(test.file), 1)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}
