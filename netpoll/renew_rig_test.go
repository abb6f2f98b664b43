package netpoll

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// authText is the message that renews a token.
func authText(token string) string { return `{"type":"auth","token":"` + token + `"}` }

// longFrame is masked for a payload of any length.
func longFrame(first byte, payload string) []byte {
	switch n := len(payload); {
	case n > 0xffff:
		panic("too long")
	case n > 125:
		head := binary.BigEndian.AppendUint16([]byte{first, 0x80 | 126}, uint16(n))
		return append(append(head, 0, 0, 0, 0), payload...)
	}
	return masked(first, payload)
}

// signed makes a token of claims; exp is in an hour unless they have one.
func signed(t testing.TB, claims jwt.MapClaims) string {
	t.Helper()
	if claims["exp"] == nil {
		claims["exp"] = time.Now().Add(time.Hour).Unix()
	}
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(testSecret))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// authAnswer is the payload of an answer.
type authAnswer struct {
	OK         bool
	Expires    time.Time
	Code       int
	Reason     string
	RetryAfter int `json:"retry_after"`
	ExpiresIn  int `json:"expires_in"`
}

// authAnswered reads the answer to a token.
func (c *raw) authAnswered(t testing.TB) (a authAnswer) {
	t.Helper()
	opcode, text := c.readFrame(t)
	envelope := struct {
		Type    string
		Payload *authAnswer
	}{Payload: &a}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&envelope); err != nil || opcode != 0x81 || envelope.Type != "_auth" {
		t.Fatalf("%#x %q in place of an answer: %v", opcode, text, err)
	}
	return a
}

// auth sends a token, and returns the answer.
func (c *raw) auth(t testing.TB, token string) authAnswer {
	t.Helper()
	if _, err := c.Write(longFrame(0x81, authText(token))); err != nil {
		t.Fatal(err)
	}
	return c.authAnswered(t)
}

// onConn runs fn on the loop of a user's only connection.
func (r *rig) onConn(user string, fn func(c *conn)) {
	r.t.Helper()
	conns, _ := r.hub.ConnsOf(user, 2)
	if len(conns) != 1 {
		r.t.Fatalf("%s has %d connections", user, len(conns))
	}
	c, done := conns[0].(*conn), make(chan struct{})
	c.loop.do(func() { defer close(done); fn(c) })
	<-done
}

// expiresOf is the expiry of a user's only connection.
func (r *rig) expiresOf(user string) (at expiry) {
	r.onConn(user, func(c *conn) { at = c.expires })
	return at
}

func (r *rig) groupsOf(user string) (all []string) {
	conns, _ := r.hub.ConnsOf(user, 1)
	for _, m := range r.hub.GroupsOf(conns[0]) {
		all = append(all, m.Group)
	}
	slices.Sort(all)
	return all
}
