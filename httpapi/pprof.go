package httpapi

import (
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"strings"
)

// profiles is the path under which Go's profiles are.
const profiles = "/debug/pprof/"

// servePProf gives profiles to this machine only, whatever address the server listens on: they show memory, and taking
// one costs time. From elsewhere a tunnel leads here: ssh, or kubectl port-forward.
func servePProf(w http.ResponseWriter, r *http.Request) {
	if !fromThisMachine(r) {
		writeError(w, http.StatusForbidden, "profiles are for this machine only: ask 127.0.0.1 from here, not through a proxy")
		return
	}
	switch name := strings.TrimPrefix(r.URL.Path, profiles); name {
	case "":
		pprof.Index(w, r)
	case "cmdline":
		pprof.Cmdline(w, r)
	case "profile":
		pprof.Profile(w, r)
	case "symbol":
		pprof.Symbol(w, r)
	case "trace":
		pprof.Trace(w, r)
	default:
		pprof.Handler(name).ServeHTTP(w, r)
	}
}

// fromThisMachine reports whether a request comes from a process here, and neither through a proxy that runs here, nor
// from a page whose name somebody made point here (DNS rebinding).
func fromThisMachine(r *http.Request) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !peer.Addr().Unmap().IsLoopback() {
		return false
	}
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"} {
		if r.Header.Get(name) != "" {
			return false
		}
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return strings.EqualFold(host, "localhost") || err == nil && addr.IsLoopback()
}
