package httpapi

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

// allowed are the methods of every path.
const allowed = "GET, HEAD, OPTIONS"

// Handler serves the side server's paths, for whoever has a listener of their own.
func (s *Server) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		switch serve := s.route(r.URL.Path); {
		case serve == nil:
			writeError(w, http.StatusNotFound, "not found: there are /health, /health/ready, /health/live and /metrics")
		case r.Method == http.MethodGet || r.Method == http.MethodHead:
			serve(w, r)
		case r.Method == http.MethodOptions:
			h.Set("Allow", allowed)
			w.WriteHeader(http.StatusNoContent)
		default:
			h.Set("Allow", allowed)
			writeError(w, http.StatusMethodNotAllowed, "method not allowed: "+allowed+" are")
		}
	})
}

// route compares whole paths: a ServeMux would answer //health with a redirect, which health checks take for well.
func (s *Server) route(path string) http.HandlerFunc {
	switch path {
	case "/health", "/health/ready":
		return s.serveHealth
	case "/health/live":
		return serveLive
	case "/metrics":
		return s.serveMetrics
	}
	if s.cfg.PProf && strings.HasPrefix(path, profiles) {
		return servePProf
	}
	return nil
}

func writeError(w http.ResponseWriter, status int, text string) {
	writeJSON(w, status, marshal(map[string]string{"error": text}))
}

// writeJSON answers with body. net/http leaves it out for HEAD.
func writeJSON(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that left wants no answer
}

// marshal encodes one of this package's own answers, none of which can fail to be encoded.
func marshal(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("httpapi: " + err.Error())
	}
	return append(b, '\n')
}
