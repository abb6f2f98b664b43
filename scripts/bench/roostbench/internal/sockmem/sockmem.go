package sockmem

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Socket is one connection of the port that was asked about.
type Socket struct {
	Peer netip.AddrPort
	// Established is false for those that are being closed.
	Established bool
	// Bytes is what the kernel has charged to the socket: what waits to be sent or acknowledged, what was received and
	// not read, and what is reserved for more of it. The socket itself, some 2.5 KB, is not in it.
	Bytes int
}

// From linux/inet_diag.h and linux/sock_diag.h.
const (
	sockDiagByFamily = 20
	skMemInfo        = 7 // INET_DIAG_SKMEMINFO
	requestSize      = 56
	answerSize       = 72
	stateEstablished = 1
	stateListen      = 10

	rmemAlloc  = 0 // SK_MEMINFO_RMEM_ALLOC and so on
	fwdAlloc   = 4
	wmemQueued = 5
	memWords   = 6 // at least, of those above
)

var errNetlink = errors.New("not what sock_diag(7) says")

// Of returns the connections whose local port is port, in this thread's network namespace; IPv4 peers of dual-stack
// sockets have their IPv4 address. Those in TIME_WAIT have no memory and are not among them.
func Of(port uint16) ([]Socket, error) {
	four, err1 := dump(unix.AF_INET, port)
	six, err2 := dump(unix.AF_INET6, port)
	return append(four, six...), errors.Join(err1, err2)
}

func dump(family uint8, port uint16) ([]Socket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return nil, fmt.Errorf("sock_diag: %w", err)
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.Sendto(fd, request(family), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, fmt.Errorf("sock_diag: %w", err)
	}
	var all []Socket
	buf := make([]byte, 64<<10)
	for {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("sock_diag: %w", err)
		}
		some, done, err := parse(buf[:n], port)
		if err != nil {
			return nil, err
		}
		if all = append(all, some...); done {
			return all, nil
		}
	}
}

// request asks for all TCP sockets of an address family: struct nlmsghdr and struct inet_diag_req_v2.
func request(family uint8) []byte {
	b := make([]byte, unix.SizeofNlMsghdr+requestSize)
	binary.NativeEndian.PutUint32(b[0:], uint32(len(b)))
	binary.NativeEndian.PutUint16(b[4:], sockDiagByFamily)
	binary.NativeEndian.PutUint16(b[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	b[16], b[17], b[18] = family, unix.IPPROTO_TCP, 1<<(skMemInfo-1)
	const listening, timeWait = 1 << stateListen, 1 << 6
	states := uint32(0xFFF) &^ (listening | timeWait)
	binary.NativeEndian.PutUint32(b[20:], states)
	return b
}

// parse reads netlink messages. It returns true with the last.
func parse(in []byte, port uint16) (all []Socket, done bool, err error) {
	for len(in) >= unix.SizeofNlMsghdr {
		length, kind := int(binary.NativeEndian.Uint32(in)), binary.NativeEndian.Uint16(in[4:])
		if length < unix.SizeofNlMsghdr || length > len(in) {
			return nil, false, fmt.Errorf("%w: a message of %d bytes", errNetlink, length)
		}
		body := in[unix.SizeofNlMsghdr:length]
		switch kind {
		case unix.NLMSG_DONE:
			return all, true, nil
		case unix.NLMSG_ERROR:
			if len(body) < 4 {
				return nil, false, errNetlink
			}
			return nil, false, fmt.Errorf("sock_diag: %w", unix.Errno(-int32(binary.NativeEndian.Uint32(body))))
		case sockDiagByFamily:
			if len(body) < answerSize {
				return nil, false, fmt.Errorf("%w: a socket of %d bytes", errNetlink, len(body))
			}
			if s, local := parseSocket(body); local == port {
				all = append(all, s)
			}
		}
		in = in[min(align(length), len(in)):]
	}
	return all, false, nil
}

func align(n int) int { return (n + 3) &^ 3 }

// parseSocket reads struct inet_diag_msg and the attributes behind it.
func parseSocket(body []byte) (s Socket, local uint16) {
	s.Established = body[1] == stateEstablished
	local = binary.BigEndian.Uint16(body[4:])
	peer := netip.AddrFrom4([4]byte(body[24:28]))
	if body[0] == unix.AF_INET6 {
		peer = netip.AddrFrom16([16]byte(body[24:40])).Unmap()
	}
	s.Peer = netip.AddrPortFrom(peer, binary.BigEndian.Uint16(body[6:]))
	for rest := body[answerSize:]; len(rest) >= unix.SizeofRtAttr; {
		length, kind := int(binary.NativeEndian.Uint16(rest)), binary.NativeEndian.Uint16(rest[2:])
		if length < unix.SizeofRtAttr || length > len(rest) {
			break
		}
		if value := rest[unix.SizeofRtAttr:length]; kind == skMemInfo && len(value) >= 4*memWords {
			word := func(i int) int { return int(binary.NativeEndian.Uint32(value[4*i:])) }
			s.Bytes = word(rmemAlloc) + word(fwdAlloc) + word(wmemQueued)
		}
		rest = rest[min(align(length), len(rest)):]
	}
	return s, local
}
