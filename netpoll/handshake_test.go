package netpoll

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// wire joins two network namespaces by a TUN device in each and carries the packets
// between them in user space, so that the kernel's TCP has a round trip to live
// with. A relay of connections would acknowledge at once; here only the far end can.
type wire struct {
	server, client *netSpace
	cut            atomic.Bool // all packets are lost
	carriers       sync.WaitGroup
}

// wireServer is the server's address in its namespace.
const wireServer = "192.0.2.1"

// wirePackets is how many packets may be under way in one direction, or wait for rate.
const wirePackets = 16 << 10

// newWire makes a wire whose every packet takes delay, and is one of at most rate
// bytes a second in its direction; 0 is no bound. The test is skipped where that
// is not permitted.
func newWire(t testing.TB, delay time.Duration, rate int) *wire {
	t.Helper()
	w := &wire{}
	var err error
	if w.server, err = newNetSpace(wireServer); err == nil {
		t.Cleanup(w.server.close)
		if w.client, err = newNetSpace("192.0.2.2"); err == nil {
			t.Cleanup(w.client.close)
		}
	}
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.ENOENT) {
		t.Skipf("no network namespaces with TUN devices here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	w.carry(w.server.tun, w.client.tun, delay, rate)
	w.carry(w.client.tun, w.server.tun, delay, rate)
	t.Cleanup(func() {
		_ = w.server.tun.Close()
		_ = w.client.tun.Close()
		w.carriers.Wait()
	})
	return w
}

// packet is one IP packet under way.
type packet struct {
	bytes []byte
	due   time.Time // at the other end
}

// carry starts what brings packets from one device to another.
func (w *wire) carry(from, to *os.File, delay time.Duration, rate int) {
	underWay := make(chan packet, wirePackets)
	w.carriers.Go(func() {
		defer close(underWay)
		free := time.Now() // when the wire has put out what came before
		for {
			b := make([]byte, 2048)
			n, err := from.Read(b)
			if err != nil {
				return
			}
			now := time.Now()
			if free.Before(now) {
				free = now
			}
			if rate > 0 {
				free = free.Add(time.Duration(n) * time.Second / time.Duration(rate))
			}
			select {
			case underWay <- packet{b[:n], free.Add(delay)}:
			default: // a full router loses it
			}
		}
	})
	w.carriers.Go(func() {
		for p := range underWay {
			if wait := time.Until(p.due); wait > 0 {
				time.Sleep(wait) // the delay of the network
			}
			if !w.cut.Load() {
				_, _ = to.Write(p.bytes)
			}
		}
	})
}

// listen opens a port on the server's side.
func (w *wire) listen(t testing.TB) (ln *net.TCPListener) {
	t.Helper()
	if err := w.server.do(func() (err error) {
		ln, err = Listen(context.Background(), ListenConfig{Address: wireServer + ":0"})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return ln
}

// dialer connects from the client's side.
func (w *wire) dial(_ context.Context, network, address string) (conn net.Conn, err error) {
	err = w.client.do(func() error {
		conn, err = net.DialTimeout(network, address, patience)
		return err
	})
	return conn, err
}

// netSpace is a network namespace with a TUN device in it, and a thread to open sockets there.
type netSpace struct {
	tun  *os.File
	work chan func()
}

// newNetSpace makes a namespace whose device has an address in 192.0.2.0/24.
func newNetSpace(address string) (*netSpace, error) {
	n := &netSpace{work: make(chan func())}
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // for ever: the thread ends with the goroutine
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			n.tun, err = openTUN(address)
		}
		ready <- err
		for work := range n.work {
			work()
		}
	}()
	if err := <-ready; err != nil {
		n.close()
		return nil, fmt.Errorf("a network namespace: %w", err)
	}
	return n, nil
}

// do runs fn in the namespace. Sockets that it opens stay there.
func (n *netSpace) do(fn func() error) error {
	done := make(chan error, 1)
	n.work <- func() { done <- fn() }
	return <-done
}

func (n *netSpace) close() { close(n.work) }

// openTUN makes a device in the namespace of the calling thread.
func openTUN(address string) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("/dev/net/tun: %w", err)
	}
	request := func(ioctl uint, on int, set func(*unix.Ifreq) error) {
		r, failed := unix.NewIfreq("wire0")
		if err == nil && failed == nil {
			failed = set(r)
		}
		if err == nil && failed == nil {
			failed = unix.IoctlIfreq(on, ioctl, r)
		}
		err = errors.Join(err, failed)
	}
	flags := func(f uint16) func(*unix.Ifreq) error {
		return func(r *unix.Ifreq) error { r.SetUint16(f); return nil }
	}
	inet := func(address net.IP) func(*unix.Ifreq) error {
		return func(r *unix.Ifreq) error { return r.SetInet4Addr(address.To4()) }
	}
	request(unix.TUNSETIFF, fd, flags(unix.IFF_TUN|unix.IFF_NO_PI))
	control, failed := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	err = errors.Join(err, failed)
	defer func() { _ = unix.Close(control) }()
	request(unix.SIOCSIFADDR, control, inet(net.ParseIP(address)))
	request(unix.SIOCSIFNETMASK, control, inet(net.IPv4(255, 255, 255, 0)))
	request(unix.SIOCSIFTXQLEN, control, func(r *unix.Ifreq) error { r.SetUint32(wirePackets); return nil })
	request(unix.SIOCSIFFLAGS, control, flags(unix.IFF_UP))
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("a TUN device: %w", err)
	}
	return os.NewFile(uintptr(fd), "tun"), nil
}
