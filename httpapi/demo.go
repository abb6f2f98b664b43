package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
)

// Demo lets the console connect as a user and publish, to see a notification arrive. It is for trying Roost out only:
// whoever can open the page can be anybody.
type Demo struct {
	Socket  string // the WebSocket's URL, without a token
	Script  string // the client for pages
	Token   func(user string) (string, error)
	Publish func(ctx context.Context, user, notification string) error
}

// OfferDemo has the console offer it. Any goroutine.
func (s *Server) OfferDemo(d Demo) { s.demo.Store(&d) }

// maxDemoBody bounds, in bytes, what the page may send.
const maxDemoBody = 16 << 10

// demoEndpoint is what answers below /demo/. Its requests come from the page only: they are for this machine, and a page of
// another site can't send JSON here without being asked first, which is not answered.
func (s *Server) demoEndpoint(path string) (e endpoint, found bool) {
	demo := s.demo.Load()
	if demo == nil {
		return endpoint{}, false
	}
	switch path {
	case "/console/roost.js":
		return page("roost.js", []byte(demo.Script)), true
	case "/demo/token":
		return endpoint{post: s.serveDemoToken, private: true}, true
	case "/demo/publish":
		return endpoint{post: s.serveDemoPublish, private: true}, true
	}
	return endpoint{}, false
}

// demoRequest is what the page asks for.
type demoRequest struct {
	User         string          `json:"user"`
	Notification json.RawMessage `json:"notification"`
}

func (s *Server) serveDemoToken(w http.ResponseWriter, r *http.Request) {
	request, ok := readDemo(w, r)
	if !ok {
		return
	}
	token, err := s.demo.Load().Token(request.User)
	if err != nil {
		writeError(w, http.StatusBadRequest, err.Error())
		return
	}
	writeJSON(w, http.StatusOK, marshal(map[string]string{"token": token}))
}

func (s *Server) serveDemoPublish(w http.ResponseWriter, r *http.Request) {
	request, ok := readDemo(w, r)
	if !ok {
		return
	}
	if err := s.demo.Load().Publish(r.Context(), request.User, string(request.Notification)); err != nil {
		writeError(w, http.StatusBadRequest, err.Error())
		return
	}
	writeJSON(w, http.StatusOK, marshal(struct{}{}))
}

func readDemo(w http.ResponseWriter, r *http.Request) (request demoRequest, ok bool) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		writeError(w, http.StatusUnsupportedMediaType, "application/json is wanted")
		return request, false
	}
	err = json.NewDecoder(http.MaxBytesReader(w, r.Body, maxDemoBody)).Decode(&request)
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &tooLong):
		writeError(w, http.StatusRequestEntityTooLarge, "16 KiB at most")
		return request, false
	case err != nil:
		writeError(w, http.StatusBadRequest, `{"user":…,"notification":…} is wanted`)
		return request, false
	}
	return request, true
}
