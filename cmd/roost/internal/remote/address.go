package remote

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// LocalAddress is where this machine reaches a server that listens on host. It
// is a number where it can be, so that nobody has to be asked for it.
func LocalAddress(host string, port int) string {
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}

// ServerURL reads an address in any of the forms http://host:port, ws://host:port/ws, host:port, host, :port, and
// returns it with the scheme plain, or secure where the given one is.
func ServerURL(given, plain, secure string) (*url.URL, error) {
	text := strings.TrimSpace(given)
	if !strings.Contains(text, "://") {
		text = plain + "://" + text
	}
	parsed, err := url.Parse(text)
	if err != nil || parsed.Host == "" || parsed.Opaque != "" {
		return nil, fmt.Errorf("%q is no address: want one such as %s://localhost:8082, or localhost:8082", withoutQuery(given), plain)
	}
	switch strings.ToLower(parsed.Scheme) {
	case "http", "ws":
		parsed.Scheme = plain
	case "https", "wss":
		parsed.Scheme = secure
	default:
		return nil, fmt.Errorf("%q: the scheme has to be %s or %s", withoutQuery(given), plain, secure)
	}
	if strings.HasPrefix(parsed.Host, ":") {
		parsed.Host = "127.0.0.1" + parsed.Host
	}
	return parsed, nil
}

// withoutQuery is an address without what may be a token.
func withoutQuery(address string) string {
	address, _, _ = strings.Cut(address, "?")
	return address
}
