package netem

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

const (
	mtu         = 1500
	queueLength = 10_000 // packets that wait for the relay: loss is the link's to decide
)

// openTUN makes a TUN device in the namespace of the calling thread, gives it an address and brings it up. The device
// goes away when the file is closed.
func openTUN(name string, address netip.Prefix) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("/dev/net/tun: %w", err)
	}
	request, err := unix.NewIfreq(name)
	if err == nil {
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
	}
	if err == nil {
		err = bringUp(name, address)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the TUN device %s: %w", name, err), unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), name), nil
}

// bringUp configures a device; without an address only its state changes.
func bringUp(name string, address netip.Prefix) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	set := func(what string, command uint, fill func(*unix.Ifreq) error) {
		request, bad := unix.NewIfreq(name)
		if bad == nil {
			bad = fill(request)
		}
		if bad == nil {
			bad = unix.IoctlIfreq(fd, command, request)
		}
		if bad != nil && err == nil {
			err = fmt.Errorf("%s: %w", what, bad)
		}
	}
	number := func(n uint32) func(*unix.Ifreq) error {
		return func(r *unix.Ifreq) error { r.SetUint32(n); return nil }
	}
	if address.IsValid() {
		ip := address.Addr().As4()
		set("address", unix.SIOCSIFADDR, func(r *unix.Ifreq) error { return r.SetInet4Addr(ip[:]) })
		mask := netip.PrefixFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), address.Bits()).Masked().Addr().As4()
		set("netmask", unix.SIOCSIFNETMASK, func(r *unix.Ifreq) error { return r.SetInet4Addr(mask[:]) })
		set("MTU", unix.SIOCSIFMTU, number(mtu))
	}
	if err == nil { // not allowed in a user namespace, where the kernel's 500 have to do
		set("queue length", unix.SIOCSIFTXQLEN, number(queueLength))
		err = nil
	}
	set("up", unix.SIOCSIFFLAGS, func(r *unix.Ifreq) error { r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING); return nil })
	return err
}
