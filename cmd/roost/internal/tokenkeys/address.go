package tokenkeys

import (
	"errors"
	"net/netip"
	"net/url"
)

// CheckURL says what is wrong with the address of a JWKS: over plain HTTP, but on this machine itself, anybody on the
// way could put in a key of his own.
func CheckURL(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return errors.New("not an URL")
	case u.User != nil:
		return errors.New("a user or a password in it")
	case u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		return errors.New("not https")
	}
	return nil
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
