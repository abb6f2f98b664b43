package httpapi

import (
	"net/http"
	"net/http/pprof"
	"strings"
)

// profiles is the path under which Go's profiles are.
const profiles = "/debug/pprof/"

// servePProf gives profiles to this machine only, whatever address the server listens on: they show memory, and taking
// one costs time. From elsewhere a tunnel leads here: ssh, or kubectl port-forward.
func servePProf(w http.ResponseWriter, r *http.Request) {
	if !isLocal(r) {
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
