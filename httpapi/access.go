package httpapi

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// Health is for everybody, since load balancers carry no token. With Config.Token everything else needs
// it, and so do the texts of errors in health. Without one, numbers are for everybody who reaches the port, facts about
// users are for this machine only, and /publish is for nobody: anybody who reaches the port could write to every user.

// admits answers those who may not see a path, and reports whether this one may.
func (s *Server) admits(w http.ResponseWriter, r *http.Request, path endpoint) bool {
	switch {
	case path.public:
		return true
	case *s.token.Load() != "":
		if s.carriesToken(r) {
			return true
		}
		if path.writes {
			s.publish.count(http.StatusUnauthorized)
		}
		w.Header().Set("WWW-Authenticate", `Bearer realm="roost"`)
		if path.page {
			// A browser asks for a name and a password, and sends them with all that the page asks for.
			w.Header().Add("WWW-Authenticate", `Basic realm="roost: any name, and HTTP_TOKEN as the password", charset="UTF-8"`)
		}
		writeError(w, http.StatusUnauthorized, "Authorization: Bearer with the HTTP_TOKEN of this server is needed")
		return false
	case path.writes && !s.mayTry(r):
		s.publish.count(http.StatusForbidden)
		writeError(w, http.StatusForbidden, "publishing over HTTP needs a token: set HTTP_TOKEN on this server (openssl rand -hex 16), and send it as Authorization: Bearer")
		return false
	case path.private && !isLocal(r):
		writeError(w, http.StatusForbidden, "this is for the machine that the server runs on, directly; for others set HTTP_TOKEN")
		return false
	}
	return true
}

// mayTry reports whether a request comes from this machine to a demo, which asks for no token.
func (s *Server) mayTry(r *http.Request) bool { return s.demo.Load() != nil && isLocal(r) }

// SetToken replaces Config.Token, for the requests that come from now on. Any goroutine.
func (s *Server) SetToken(token string) { s.token.Store(&token) }

// carriesToken reports whether a request has Config.Token, where there is one. It compares in a time that does not
// depend on what is given.
func (s *Server) carriesToken(r *http.Request) bool {
	token := *s.token.Load()
	if token == "" {
		return true
	}
	given, ok := bearer(r.Header.Get("Authorization"))
	if !ok {
		_, given, ok = r.BasicAuth()
	}
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(token))
	return ok && subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// bearer reads Authorization: Bearer. The name of a scheme is written in any case, and one or more spaces follow it
// (RFC 9110 sections 11.1 and 11.4).
func bearer(authorization string) (token string, ok bool) {
	scheme, rest, found := strings.Cut(authorization, " ")
	return strings.Trim(rest, " "), found && strings.EqualFold(scheme, "Bearer")
}

// isLocal reports whether a request comes from this machine, and not through a proxy on it, nor from a page of another
// site whose name was made to point here (DNS rebinding). A proxy that speaks HTTP/1.1 and says nothing of itself can't be
// told from a client here: in front of the admin server a proxy needs Config.Token.
func isLocal(r *http.Request) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !peer.Addr().Unmap().IsLoopback() || !r.ProtoAtLeast(1, 1) { // nginx speaks 1.0 unless told otherwise
		return false
	}
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"} {
		if r.Header.Get(name) != "" {
			return false
		}
	}
	return isLocalHost(r.Host) && (r.Header.Get("Sec-Fetch-Site") != "cross-site")
}

func isLocalHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && addr.IsLoopback()
}
