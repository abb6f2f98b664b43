package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/url"
	"sync"

	"github.com/gobwas/ws"
	"github.com/panjf2000/gnet/v2"

	"roost/bench/peers/site"
)

// server is gnet's event handler: OnOpen, OnTraffic and OnClose run on the loop of their connection.
type server struct {
	gnet.BuiltinEventEngine
	cfg   site.Config
	gate  *site.Gate
	feed  *site.Feed
	users site.Users[*client]
	pings *site.Pings[*client]

	mu    sync.Mutex
	loops map[gnet.EventLoop]*loop // guarded by mu
}

// loopOf is the mailbox of the loop that a connection belongs to.
func (s *server) loopOf(conn gnet.Conn) *loop {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.loops[conn.EventLoop()]
	if l == nil {
		l = &loop{engine: conn.EventLoop()}
		s.loops[conn.EventLoop()] = l
	}
	return l
}

// deliver is the feed's: it fills mailboxes.
func (s *server) deliver(user, published string) { s.users.Deliver(user, published) }

// OnOpen waits for the request.
func (s *server) OnOpen(gnet.Conn) ([]byte, gnet.Action) { return nil, gnet.None }

// OnClose forgets the connection.
func (s *server) OnClose(conn gnet.Conn, _ error) gnet.Action {
	if c, ok := conn.Context().(*client); ok {
		s.users.Remove(c.user, c)
		s.pings.Remove(c)
		c.conn = nil
	}
	return gnet.None
}

// OnTraffic handles what has come.
func (s *server) OnTraffic(conn gnet.Conn) gnet.Action {
	if c, ok := conn.Context().(*client); ok {
		return s.frames(c)
	}
	return s.request(conn)
}

// maxHead bounds a request.
const maxHead = 16 << 10

// request answers a request once all of it is there.
func (s *server) request(conn gnet.Conn) gnet.Action {
	in, err := conn.Peek(-1)
	if err != nil {
		return gnet.Close
	}
	end := bytes.Index(in, []byte("\r\n\r\n"))
	switch {
	case end < 0 && len(in) > maxHead:
		return gnet.Close
	case end < 0:
		return gnet.None
	case bytes.HasPrefix(in, []byte("GET /health ")):
		return s.health(conn)
	}
	user := ""
	upgrader := ws.Upgrader{OnRequest: func(uri []byte) (err error) {
		user, err = s.user(string(uri))
		return err
	}}
	var answer bytes.Buffer
	_, err = upgrader.Upgrade(struct {
		io.Reader
		io.Writer
	}{bytes.NewReader(in[:end+4]), &answer})
	if err == nil {
		s.admit(conn, user) // first, so that what the client's own onopen causes finds it
	}
	if _, failed := conn.Write(answer.Bytes()); failed != nil || err != nil {
		return gnet.Close
	}
	_, _ = conn.Discard(end + 4)
	return s.frames(conn.Context().(*client))
}

func (s *server) health(conn gnet.Conn) gnet.Action {
	status := "200 OK"
	if !s.feed.Healthy() {
		status = "503 Service Unavailable"
	}
	_, _ = fmt.Fprintf(conn, "HTTP/1.1 %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", status)
	return gnet.Close
}

// user is who asks.
func (s *server) user(uri string) (string, error) {
	u, err := url.ParseRequestURI(uri)
	if err != nil || u.Path != "/ws" {
		return "", ws.RejectConnectionError(ws.RejectionStatus(404))
	}
	user, err := s.gate.User(u.Query().Get("token"))
	if err != nil {
		return "", ws.RejectConnectionError(ws.RejectionStatus(401))
	}
	return user, nil
}

func (s *server) admit(conn gnet.Conn, user string) {
	c := &client{loop: s.loopOf(conn), conn: conn, user: user, writeWait: s.cfg.WriteWait}
	conn.SetContext(c)
	s.pings.Add(c)
	s.users.Add(user, c)
}

// frames handles the frames that are complete.
func (s *server) frames(c *client) gnet.Action {
	for {
		in, err := c.conn.Peek(-1)
		if err != nil || len(in) == 0 {
			return gnet.None
		}
		r := bytes.NewReader(in)
		h, err := ws.ReadHeader(r)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return gnet.None
		}
		if err != nil || ws.CheckHeader(h, ws.StateServerSide) != nil || h.Length > s.cfg.MaxMessage {
			return gnet.Close
		}
		size := len(in) - r.Len()
		if r.Len() < int(h.Length) {
			return gnet.None
		}
		payload := in[size : size+int(h.Length)]
		ws.Cipher(payload, h.Mask, 0)
		switch h.OpCode {
		case ws.OpPong:
			s.pings.Ponged(c)
		case ws.OpPing:
			_, _ = c.conn.Write(ws.MustCompileFrame(ws.NewPongFrame(payload)))
		case ws.OpClose:
			_, _ = c.conn.Write(ws.MustCompileFrame(ws.NewCloseFrame(payload)))
			return gnet.Close
		}
		_, _ = c.conn.Discard(size + int(h.Length))
	}
}
