package proxyproto

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// header2 is a header of version 2, put together by hand.
func header2(versionCommand, family byte, block string) string {
	n := len(block)
	return signature + string([]byte{versionCommand, family, byte(n >> 8), byte(n)}) + block
}

const (
	ends4 = "\xc0\x00\x02\x01\xc6\x33\x64\x01\xdc\x04\x01\xbb"                                  // 192.0.2.1:56324, 198.51.100.1:443
	wide1 = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"                  // 2001:db8::1
	wide4 = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc0\x00\x02\x01"                  // ::ffff:192.0.2.1
	ends6 = wide1 + wide1 + "\xdc\x04\x01\xbb"                                                  //
	mixed = wide4 + wide1 + "\xdc\x04\x01\xbb"                                                  //
	ext   = "\x01\x00\x02h2" + "\x05\x00\x10" + "0123456789abcdef" + "\x03\x00\x04\x00\x00\x00" // the last is cut off: nobody looks
)

// complete are headers, each with the source that it names ("" for none).
var complete = []struct{ header, source string }{
	{"PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n", "192.0.2.1:56324"},
	{"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535"},
	{"PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "0.0.0.0:0"},
	{"PROXY TCP6 2001:db8::1 2001:DB8::2 1 2\r\n", "[2001:db8::1]:1"},
	{"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
		"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
	{"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.1 1 2\r\n", "192.0.2.1:1"},
	{"PROXY TCP6 0:0:0:0:0:ffff:c000:0201 :: 1 2\r\n", "192.0.2.1:1"},
	{"PROXY UNKNOWN\r\n", ""},
	{"PROXY UNKNOWN \r\n", ""},
	{"PROXY UNKNOWN 192.0.2.1 whatever\x00\r \r\n", ""},
	{"PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n", ""}, // 107 bytes
	{header2(0x21, 0x11, ends4), "192.0.2.1:56324"},
	{header2(0x21, 0x11, ends4+ext), "192.0.2.1:56324"},
	{header2(0x21, 0x21, ends6), "[2001:db8::1]:56324"},
	{header2(0x21, 0x21, mixed), "192.0.2.1:56324"},
	{header2(0x21, 0x21, ends6+strings.Repeat("\x04", 4096-36)), "[2001:db8::1]:56324"}, // as long as may be
	{header2(0x21, 0x12, ends4), ""},
	{header2(0x21, 0x22, ends6), ""},
	{header2(0x21, 0x31, strings.Repeat("/", 216)), ""},
	{header2(0x21, 0x32, strings.Repeat("/", 216)), ""},
	{header2(0x21, 0x00, ""), ""},
	{header2(0x21, 0x00, ext), ""},
	{header2(0x20, 0x00, ""), ""},
	{header2(0x20, 0x11, ends4), ""}, // LOCAL: the addresses don't count
	{header2(0x20, 0x21, ends4), ""}, // nor that they are too short
	{header2(0x20, 0xff, ""), ""},    // nor the family
	{string(AppendLocal(nil)), ""},
}

// broken begin as headers do, and are none.
var broken = []string{
	"PROXY\r\n",
	"PROXY \r\n",
	"PROXYTCP4 192.0.2.1 198.51.100.1 1 2\r\n",
	"PROXYS TCP4 192.0.2.1 198.51.100.1 1 2\r\n",
	"PROXY  TCP4 192.0.2.1 198.51.100.1 1 2\r\n",
	"PROXY TCP5 192.0.2.1 198.51.100.1 1 2\r\n",
	"PROXY tcp4 192.0.2.1 198.51.100.1 1 2\r\n",
	"PROXY UDP4 192.0.2.1 198.51.100.1 1 2\r\n",
	"PROXY UNKNOWNS\r\n",
	"PROXY unknown\r\n",
	"PROXY TCP4\r\n",
	"PROXY TCP4 192.0.2.1 198.51.100.1 1\r\n",
	"PROXY TCP4 192.0.2.1 198.51.100.1 1 2 3\r\n",
	"PROXY TCP4 192.0.2.1 198.51.100.1 1 2 \r\n",
	"PROXY TCP4 192.0.2.1  198.51.100.1 1 2\r\n",
	"PROXY TCP4 192.0.2.1\t198.51.100.1 1 2\r\n",
	"PROXY TCP4 192.0.2.1 198.51.100.1 1 2\n",
	"PROXY TCP4 192.0.2.1 198.51.100.1 1 22\n",
	"PROXY TCP4 192.0.2.1 198.51.100.1 1 2\r\r\n",
	"PROXY TCP4 192.0.2.1 198.51.100.1 1\n2\r\n",
	"PROXY UNKNOWN\n\r\n",
	"PROXY UNKNOWN \n",
	"PROXY TCP4 192.0.2.01 198.51.100.1 1 2\r\n",
	"PROXY TCP4 192.0.2.1 198.51.100.01 1 2\r\n",
	"PROXY TCP4 192.0.2.256 198.51.100.1 1 2\r\n",
	"PROXY TCP4 192.0.2 198.51.100.1 1 2\r\n",
	"PROXY TCP4 192.0.2.1.1 198.51.100.1 1 2\r\n",
	"PROXY TCP4 192.0..1 198.51.100.1 1 2\r\n",
	"PROXY TCP4 +1.0.2.1 198.51.100.1 1 2\r\n",
	"PROXY TCP4 2001:db8::1 198.51.100.1 1 2\r\n",
	"PROXY TCP4 192.0.2.1 2001:db8::1 1 2\r\n",
	"PROXY TCP4 ::ffff:192.0.2.1 ::ffff:192.0.2.1 1 2\r\n",
	"PROXY TCP6 192.0.2.1 2001:db8::1 1 2\r\n",
	"PROXY TCP6 2001:db8::1 192.0.2.1 1 2\r\n",
	"PROXY TCP6 fe80::1%eth0 2001:db8::1 1 2\r\n",
	"PROXY TCP6 [2001:db8::1] 2001:db8::1 1 2\r\n",
	"PROXY TCP6 1:2:3:4:5:6:7 :: 1 2\r\n",
	"PROXY TCP6 1:2:3:4:5:6:7:8:9 :: 1 2\r\n",
	"PROXY TCP6 1:2:3:4:5:6:7::8 :: 1 2\r\n", // a gap of nothing
	"PROXY TCP6 1::2::3 :: 1 2\r\n",
	"PROXY TCP6 ::: :: 1 2\r\n",
	"PROXY TCP6 1: :: 1 2\r\n",
	"PROXY TCP6 :1 :: 1 2\r\n",
	"PROXY TCP6 12345:: :: 1 2\r\n",
	"PROXY TCP6 g:: :: 1 2\r\n",
	"PROXY TCP6 192.0.2.1:: :: 1 2\r\n",
	"PROXY TCP4 192.0.2.1 198.51.100.1 01 2\r\n",
	"PROXY TCP4 192.0.2.1 198.51.100.1 00 2\r\n",
	"PROXY TCP4 192.0.2.1 198.51.100.1 1 65536\r\n",
	"PROXY TCP4 192.0.2.1 198.51.100.1 -1 2\r\n",
	"PROXY TCP4 192.0.2.1 198.51.100.1 1 100000\r\n",
	"PROXY TCP4 192.0.2.1 198.51.100.1 4294967297 2\r\n",
	"PROXY UNKNOWN " + strings.Repeat("x", 108-len("PROXY UNKNOWN \r\n")) + "\r\n",
	"PROXY / HTTP/1.1\r\n",
	header2(0x11, 0x11, ends4), // version 1
	header2(0x31, 0x11, ends4),
	header2(0x01, 0x11, ends4),
	header2(0x22, 0x11, ends4), // command 2
	header2(0x2f, 0x11, ends4),
	header2(0x21, 0x41, ends6), // family 4
	header2(0x21, 0x13, ends4), // transport 3
	header2(0x21, 0x10, ends4), // no such pair
	header2(0x21, 0x01, ends4),
	header2(0x21, 0x11, ends4[1:]),
	header2(0x21, 0x11, ""),
	header2(0x21, 0x21, ends6[1:]),
	header2(0x21, 0x22, ends4),
	header2(0x21, 0x31, strings.Repeat("/", 215)),
	header2(0x21, 0x11, strings.Repeat("x", 4097)),
	header2(0x20, 0x00, strings.Repeat("x", 4097)),
	header2(0x21, 0x11, strings.Repeat("x", 65535)),
}

// missing are other protocols.
var missing = []string{
	"GET /ws HTTP/1.1\r\n", "PRI * HTTP/2.0\r\n\r\n", "POST / HTTP/1.1\r\n", "proxy TCP4", " PROXY", "PROX ",
	"\x16\x03\x01", "\r\nGET", "\r\n\r\n\x00\r\nQUIT\r", "\n", "\x00",
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, test := range complete {
		for _, more := range []string{"", "GET /ws", "\r\n", "PROXY TCP4 "} {
			header, verdict := parseInPieces(t, []byte(test.header+more))
			want := Header{Size: len(test.header)}
			if test.source != "" {
				want.Source = netip.MustParseAddrPort(test.source)
			}
			if verdict != Complete || header != want {
				t.Errorf("%q + %q: %v %+v, want %+v", test.header, more, verdict, header, want)
			}
		}
		for n := range len(test.header) {
			if _, verdict := Parse([]byte(test.header[:n])); verdict != Incomplete {
				t.Errorf("%q: %v, want more", test.header[:n], verdict)
			}
		}
	}
	for _, in := range broken {
		if header, verdict := parseInPieces(t, []byte(in)); verdict != Broken {
			t.Errorf("%q: %v %+v, want Broken", in, verdict, header)
		}
	}
	for _, in := range missing {
		if header, verdict := parseInPieces(t, []byte(in)); verdict != Missing {
			t.Errorf("%q: %v %+v, want Missing", in, verdict, header)
		}
	}
}

// parseInPieces parses what a byte at a time makes of in, and holds that only Incomplete is not final.
func parseInPieces(t *testing.T, in []byte) (header Header, verdict Verdict) {
	t.Helper()
	for n := range len(in) + 1 {
		nextHeader, next := Parse(in[:n:n])
		if verdict != Incomplete && (next != verdict || nextHeader != header) {
			t.Fatalf("%q was %v %+v, and with one byte more is %v %+v", in[:n-1], verdict, header, next, nextHeader)
		}
		if next == Incomplete && n >= MaxBinary {
			t.Fatalf("%d bytes are not enough", n)
		}
		header, verdict = nextHeader, next
	}
	return header, verdict
}

func TestVersion1IsBounded(t *testing.T) {
	t.Parallel()
	line := []byte("PROXY UNKNOWN " + strings.Repeat("x", 200))
	for n := range line {
		want := Incomplete
		if n >= 107 {
			want = Broken
		}
		if _, verdict := Parse(line[:n]); verdict != want {
			t.Fatalf("%d bytes: %v, want %v", n, verdict, want)
		}
	}
}

func TestParseAllocatesNothing(t *testing.T) {
	var inputs [][]byte
	for _, test := range complete {
		inputs = append(inputs, []byte(test.header))
	}
	for _, in := range append(broken, missing...) {
		inputs = append(inputs, []byte(in))
	}
	if n := testing.AllocsPerRun(100, func() {
		for _, in := range inputs {
			Parse(in)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestParseLeavesItsInputAlone(t *testing.T) {
	t.Parallel()
	for _, test := range complete {
		in := []byte(test.header)
		Parse(in)
		if !bytes.Equal(in, []byte(test.header)) {
			t.Errorf("%q became %q", test.header, in)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	for i, name := range map[int]string{0: "v1 IPv4", 3: "v1 IPv6", 11: "v2 IPv4", 13: "v2 IPv6"} {
		b.Run(fmt.Sprint(name), func(b *testing.B) {
			in := []byte(complete[i].header)
			b.ReportAllocs()
			for b.Loop() {
				Parse(in)
			}
		})
	}
}
