package httpapi

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

// allowed are the methods of nearly every path.
const allowed = "GET, HEAD, OPTIONS"

// Handler serves the admin server's paths, for whoever has a listener of their own.
func (s *Server) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		path, found := s.route(r.URL.Path)
		switch {
		case !found:
			writeError(w, http.StatusNotFound, "not found: there are /health, /health/ready, /health/live, /metrics, /why, /config, /upgrade and /publish")
		case !s.admits(w, r, path):
		case path.post != nil && r.Method == http.MethodPost:
			path.post(w, r)
		case path.serve != nil && (r.Method == http.MethodGet || r.Method == http.MethodHead):
			path.serve(w, r)
		case r.Method == http.MethodOptions:
			h.Set("Allow", path.allowed())
			w.WriteHeader(http.StatusNoContent)
		default:
			h.Set("Allow", path.allowed())
			writeError(w, http.StatusMethodNotAllowed, "method not allowed: "+path.allowed()+" are")
		}
	})
}

// endpoint is what answers on a path.
type endpoint struct {
	serve   http.HandlerFunc // GET and HEAD
	post    http.HandlerFunc // in place of these
	public  bool             // for everybody, whatever Config.Token says
	private bool             // about users: see access.go
	writes  bool             // never without Config.Token: see access.go
	page    bool             // for browsers, which ask people for the token
}

// allowed are the path's methods.
func (e endpoint) allowed() string {
	if e.post != nil {
		return "POST, OPTIONS"
	}
	return allowed
}

// route compares whole paths: a ServeMux would answer //health with a redirect, which health checks take for well.
func (s *Server) route(path string) (e endpoint, found bool) {
	switch path {
	case "/health", "/health/ready":
		return endpoint{serve: s.serveHealth, public: true}, true
	case "/health/live":
		return endpoint{serve: serveLive, public: true}, true
	case "/metrics":
		return endpoint{serve: s.serveMetrics}, true
	case "/why":
		return endpoint{serve: s.serveWhy, private: true}, true
	case "/publish":
		if s.publish == nil {
			return endpoint{}, false
		}
		return endpoint{post: s.publish.serve, writes: true}, true
	case "/openapi.yaml":
		if s.cfg.OpenAPI == "" {
			return endpoint{}, false
		}
		return endpoint{serve: s.serveOpenAPI}, true
	case "/config":
		return endpoint{serve: s.serveVariables, private: true}, true
	case "/upgrade":
		return endpoint{serve: s.serveUpgrade, private: true}, true
	}
	if s.cfg.PProf && strings.HasPrefix(path, profiles) {
		return endpoint{serve: servePProf}, true
	}
	if !s.cfg.Console {
		return endpoint{}, false
	}
	if path == "/console.json" {
		return endpoint{serve: s.serveOverview}, true
	}
	if e, found := s.demoEndpoint(path); found {
		return e, true
	}
	if e, found := s.docsPage(path); found {
		return e, true
	}
	return consoleFile(path)
}

func writeError(w http.ResponseWriter, status int, text string) {
	writeJSON(w, status, marshal(map[string]string{"error": text}))
}

// writeJSON answers with body. net/http leaves it out for HEAD.
func writeJSON(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	write(w, status, body)
}

// write answers with body, whose headers are set but for its length.
func write(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that left needs no answer
}

// marshal encodes one of this package's own answers, none of which can fail to be encoded.
func marshal(v any) []byte {
	var b bytes.Buffer
	to := json.NewEncoder(&b) // which ends with a line feed
	to.SetEscapeHTML(false)   // people read "a->b" and "&user_noti:*" in a terminal; no page has it in its HTML
	if err := to.Encode(v); err != nil {
		panic("httpapi: " + err.Error())
	}
	return b.Bytes()
}
