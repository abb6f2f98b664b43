package handshake

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrOriginPattern is wrapped by the error of [New] about an allowed origin.
var ErrOriginPattern = errors.New("bad origin pattern")

// origins is a compiled list of patterns. Static after construction.
type origins struct {
	all      bool     // "*"
	null     bool     // "null": sandboxed frames and local files
	hostless []string // in lower case: file:// and app://. of pages inside of programs
	patterns []originPattern
}

// originPattern is one allowed origin, in lower case.
type originPattern struct {
	scheme string // "" is any
	host   string // with the brackets of an IPv6 address
	suffix string // ".example.com" where the pattern began with "*."; host is "" then
	port   string // "" is the default port of the scheme, "*" is any
}

// compileOrigins compiles a list of patterns; an empty one allows all.
func compileOrigins(list []string) (origins, error) {
	if len(list) == 0 {
		return origins{all: true}, nil
	}
	var o origins
	for _, text := range list {
		text = strings.TrimSpace(text)
		switch strings.ToLower(text) {
		case "*":
			o.all = true
		case "null":
			o.null = true
		default:
			if hostless(strings.ToLower(text)) {
				o.hostless = append(o.hostless, strings.ToLower(text))
				continue
			}
			pattern, err := compileOrigin(text)
			if err != nil {
				return origins{}, err
			}
			o.patterns = append(o.patterns, pattern)
		}
	}
	return o, nil
}

// anyPort is the port of a pattern such as http://localhost:*, for development servers that take the next free one.
const anyPort = "*"

// hostless reports whether text is an origin without a host, as Electron and Cordova send for pages of their own: file://
// and app://. are such, and there is nothing but all of it to compare.
func hostless(text string) bool {
	scheme, rest, found := strings.Cut(text, "://")
	return found && validScheme(scheme) && defaultPort(scheme) == "" && (rest == "" || rest == ".")
}

func compileOrigin(text string) (originPattern, error) {
	scheme, rest, found := strings.Cut(strings.ToLower(text), "://")
	if !found {
		scheme, rest = "", scheme
	}
	host, port, ported := cutPort([]byte(rest))
	pattern := originPattern{scheme: scheme, host: string(host), port: string(port)}
	if sub, ok := strings.CutPrefix(pattern.host, "*."); ok {
		pattern.host, pattern.suffix, host = "", "."+sub, []byte(sub)
	}
	switch {
	case found && !validScheme(scheme):
		return originPattern{}, badOrigin(text, "the scheme")
	case ported && pattern.port != anyPort && !validPort(pattern.port):
		return originPattern{}, badOrigin(text, "the port")
	case !originHost(host) || pattern.suffix != "" && host[0] == '[':
		return originPattern{}, badOrigin(text, "the host")
	}
	if pattern.port == defaultPort(scheme) {
		pattern.port = ""
	}
	return pattern, nil
}

func badOrigin(text, part string) error {
	return fmt.Errorf("wsproto: %w %q: %s is wrong; right are *, null, https://a.example, https://a.example:8443, "+
		"https://*.example.com, http://localhost:*, a.example, and file:// or app://. for pages inside of programs, "+
		"without a path, international names as xn--…", ErrOriginPattern, text, part)
}

// allow reports whether the value of an Origin header is on the list
// (RFC 6454 section 7).
func (o *origins) allow(origin []byte) bool {
	if o.all {
		return true
	}
	if string(origin) == "null" {
		return o.null
	}
	for _, text := range o.hostless {
		if equalFold(origin, text) {
			return true
		}
	}
	scheme, rest, ok := bytes.Cut(origin, []byte("://"))
	if !ok {
		return false
	}
	host, port, _ := cutPort(rest)
	if !originHost(host) {
		return false
	}
	for i := range o.patterns {
		if o.patterns[i].matches(scheme, host, port) {
			return true
		}
	}
	return false
}

func (p *originPattern) matches(scheme, host, port []byte) bool {
	if p.scheme != "" && !equalFold(scheme, p.scheme) {
		return false
	}
	return p.matchesPort(scheme, port) && p.matchesHost(host)
}

// matchesPort treats a missing port and the scheme's default port alike.
func (p *originPattern) matchesPort(scheme, port []byte) bool {
	if p.port == anyPort {
		return true
	}
	usual := "443"
	if equalFold(scheme, "http") {
		usual = "80"
	} else if !equalFold(scheme, "https") {
		usual = ""
	}
	if len(port) == 0 {
		return p.port == "" || p.port == usual
	}
	return string(port) == p.port || p.port == "" && string(port) == usual
}

func (p *originPattern) matchesHost(host []byte) bool {
	if p.suffix == "" {
		return equalFold(host, p.host)
	}
	above := len(host) - len(p.suffix)
	return above > 0 && equalFold(host[above:], p.suffix)
}

func defaultPort(scheme string) string {
	switch scheme {
	case "http":
		return "80"
	case "https":
		return "443"
	}
	return ""
}

// originHost accepts a host name as browsers write it into an origin: neither
// user information nor a path can hide in it, and no label is empty.
func originHost(host []byte) bool {
	switch {
	case len(host) == 0 || host[0] == '.':
		return false
	case host[0] == '[':
		return validHost(host)
	}
	return originChars.holds(host) && !bytes.Contains(host, []byte(".."))
}

// validScheme follows RFC 3986 section 3.1; the text is in lower case.
func validScheme(scheme string) bool {
	for i := range len(scheme) {
		c := scheme[i]
		if !isAlphanumeric(c) && (i == 0 || c != '+' && c != '-' && c != '.') {
			return false
		}
	}
	return scheme != "" && !isDigit(scheme[0])
}

func validPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0 && port[0] != '0'
}

func isAlphanumeric(c byte) bool {
	c = lower(c)
	return isDigit(c) || 'a' <= c && c <= 'z'
}
