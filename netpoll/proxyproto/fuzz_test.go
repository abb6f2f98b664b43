package proxyproto

import (
	"bufio"
	"bytes"
	"errors"
	"net"
	"net/netip"
	"testing"

	other "github.com/pires/go-proxyproto"
)

// FuzzParse: no input makes Parse panic, verdicts are final whatever the pieces, and
// go-proxyproto takes the same headers, as long, from the same client. The two differ on purpose in what
// onPurpose says.
func FuzzParse(f *testing.F) {
	for _, test := range complete {
		f.Add([]byte(test.header + "GET /ws"))
	}
	for _, in := range append(broken, missing...) {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		header, verdict := parseInPieces(t, in)
		if verdict == Complete && (header.Size > len(in) || header.Size < len("PROXY UNKNOWN\r\n") || header.Size > MaxBinary) {
			t.Fatalf("%d of %d bytes", header.Size, len(in))
		}
		if addr := header.Source.Addr(); addr.Is4In6() || addr.Zone() != "" {
			t.Fatalf("the source is %v", addr)
		}
		want, size, err := readOther(in)
		switch {
		case verdict == Complete && onPurpose(in):
			if header.Source.IsValid() {
				t.Fatalf("a source, %v, that go-proxyproto does not see: %v", header.Source, err)
			}
		case (verdict == Complete) != (err == nil):
			t.Fatalf("%v here, go-proxyproto says %+v, %v", verdict, want, err)
		case verdict == Missing && !errors.Is(err, other.ErrNoProxyProtocol):
			t.Fatalf("no header here, go-proxyproto says %v", err)
		case verdict == Complete && (header.Size != size || header.Source != sourceOther(want)):
			t.Fatalf("%+v, go-proxyproto says %+v, %d bytes", header, want, size)
		}
	})
}

// readOther reads a header with go-proxyproto, from one piece: it takes version 1 in no other way.
func readOther(in []byte) (header *other.Header, size int, err error) {
	reader := bufio.NewReaderSize(bytes.NewReader(in), len(in)+16)
	header, err = other.Read(reader)
	return header, len(in) - reader.Buffered(), err
}

// sourceOther is the client's address where it is one of TCP; the rest is unknown here.
func sourceOther(header *other.Header) netip.AddrPort {
	address, ok := header.SourceAddr.(*net.TCPAddr)
	if !ok || header.Command.IsLocal() {
		return netip.AddrPort{}
	}
	port := address.AddrPort()
	return netip.AddrPortFrom(port.Addr().Unmap(), port.Port())
}

// onPurpose reports whether a header of version 2 is one that go-proxyproto refuses and the specification
// has accepted (section 2.2):
//
//   - LOCAL with a family that is not defined: the block is discarded "including the family which is ignored";
//   - PROXY with the family 0: it "is mandatory to implement on the receiver", who is free to use the real
//     endpoints.
func onPurpose(in []byte) bool {
	if !begins(in, signature) || len(in) < fixedSize {
		return false
	}
	command, family := in[len(signature)], in[len(signature)+1]
	_, known := addressSize(family)
	return command == version<<4|commandLocal && !known || command == version<<4|commandProxy && family == 0
}

// FuzzAddress: what is read as an address here net/netip reads as the same one, and the other way round.
func FuzzAddress(f *testing.F) {
	for _, seed := range []string{
		"192.0.2.1", "0.0.0.0", "255.255.255.255", "::", "::1", "1::", "2001:db8::1:0:0:1", "::ffff:192.0.2.1", "1:2:3:4:5:6:192.0.2.1",
		"1:2:3:4:5:6:7:8", "1::2:3:4:5:6:7:8", "64:ff9b::192.0.2.33", "fe80::1%eth0", "1:2:3:4:5:6:7:192.0.2.1", "::192.0.2.1:1", "ABCD::ef",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		want, err := netip.ParseAddr(string(in))
		four, is4 := parseIPv4(in)
		six, is6 := parseIPv6(in)
		switch {
		case is4 != (err == nil && want.Is4()) || is4 && four != want:
			t.Fatalf("IPv4 here: %v %v, net/netip: %v %v", is4, four, want, err)
		case is6 != (err == nil && want.Is6() && want.Zone() == "") || is6 && six != want:
			t.Fatalf("IPv6 here: %v %v, net/netip: %v %v", is6, six, want, err)
		}
	})
}
