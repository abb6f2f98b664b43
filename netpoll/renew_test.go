package netpoll

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"roost/hub"
	"roost/wsproto"
	"roost/wsproto/auth"
	"roost/wsproto/handshake"
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

// A token is taken or refused as that of a handshake, and one that is refused changes nothing.
func TestRenewal(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, tt := range map[string]struct {
		claims jwt.MapClaims
		text   string // in place of a message with a token of claims
		want   authAnswer
		result renewalResult
		groups []string
	}{
		"good":            {claims: jwt.MapClaims{"sub": "alice", "exp": now.Add(2 * time.Hour).Unix(), "groups": []string{"b", "c"}}, want: authAnswer{OK: true}, groups: []string{"b", "c"}},
		"without groups":  {claims: jwt.MapClaims{"sub": "alice", "exp": now.Add(2 * time.Hour).Unix()}, want: authAnswer{OK: true}},
		"shorter":         {claims: jwt.MapClaims{"sub": "alice", "exp": now.Add(50 * time.Minute).Unix(), "groups": "a"}, want: authAnswer{OK: true}, groups: []string{"a"}},
		"for a long time": {claims: jwt.MapClaims{"sub": "alice", "exp": int64(1) << 60}, want: authAnswer{OK: true}},
		"expired":         {claims: jwt.MapClaims{"sub": "alice", "exp": now.Add(-time.Hour).Unix()}, want: authAnswer{Code: 4401, Reason: "token expired"}, result: renewalToken},
		"another user's":  {claims: jwt.MapClaims{"sub": "bob"}, want: authAnswer{Code: 4403, Reason: "token of another user: a connection keeps its user"}, result: renewalOtherUser},
		"no groups":       {claims: jwt.MapClaims{"sub": "alice", "groups": 7}, want: authAnswer{Code: 4401, Reason: "token with bad groups: up to 200 strings, or one, each of 1 to 255 bytes of UTF-8 without control characters"}, result: renewalToken},
		"malformed":       {text: authText("undefined"), want: authAnswer{Code: 4401, Reason: "token malformed: the client has none, and sends undefined, null or [object …] in its place"}, result: renewalToken},
		"wrong signature": {text: authText(signed(t, jwt.MapClaims{"sub": "alice"})[:60] + ".AAAA"), want: authAnswer{Code: 4401, Reason: "token signature wrong"}, result: renewalToken},
		"empty":           {text: authText(""), want: authAnswer{Code: 4401, Reason: "token missing"}, result: renewalToken},
		"none":            {text: `{"type":"auth"}`, want: authAnswer{Code: 4400, Reason: `the message has no "token"`}, result: renewalMessage},
		"no JSON":         {text: `{"type":"auth","token":"` + strings.Repeat("x", 8000), want: authAnswer{Code: 4400, Reason: "the message is not JSON"}, result: renewalMessage},
		"too long":        {text: authText(strings.Repeat("x", auth.MaxToken+1)), want: authAnswer{Code: 4401, Reason: "token malformed: longer than 8 KiB"}, result: renewalToken},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, func(c *Config) { c.CloseOnExpiry, c.MaxMessage = true, 512 })
			c := r.upgradeAs(signed(t, jwt.MapClaims{"sub": "alice", "groups": []string{"a", "b"}}))
			before := r.expiresOf("alice")
			text := tt.text
			if text == "" {
				text = authText(signed(t, tt.claims))
			}
			_, _ = c.Write(longFrame(0x81, text))
			got := c.authAnswered(t)
			expires, left := got.Expires, time.Duration(got.ExpiresIn)*time.Second
			got.Expires, got.ExpiresIn = time.Time{}, 0
			if got != tt.want {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			wantGroups, wantExpires := []string{"a", "b"}, before
			if tt.want.OK {
				exp := jwt.NewNumericDate(time.Unix(tt.claims["exp"].(int64), 0)).Add(auth.DefaultLeeway)
				wantGroups, wantExpires = tt.groups, expiryOf(exp)
				if latest := time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC); exp.After(latest) {
					exp = latest
				}
				if !expires.Equal(exp) {
					t.Errorf("the answer says %s, want %s", expires, exp)
				}
				if real := time.Unix(tt.claims["exp"].(int64), 0).Sub(now); left <= 0 || left-auth.DefaultLeeway > real {
					t.Errorf("the answer says %s, want at most %s and %s", left, real, auth.DefaultLeeway)
				}
			}
			if at := r.expiresOf("alice"); at != wantExpires {
				t.Errorf("it expires at %d, want %d", at, wantExpires)
			}
			if all := r.groupsOf("alice"); !slices.Equal(all, wantGroups) {
				t.Errorf("in %q, want %q", all, wantGroups)
			}
			s := r.server.Stats()
			for result, n := range s.Renewals {
				if want := map[bool]uint64{true: 1}[result == renewalNames[tt.result]]; n != want {
					t.Errorf("%d are counted as %s, want %d", n, result, want)
				}
			}
			if s.Renewing != 0 || s.RecordBytes != 0 {
				t.Errorf("%d are under way, %d bytes kept", s.Renewing, s.RecordBytes)
			}
		})
	}
}

// upgradeAs is upgrade with a token.
func (r *rig) upgradeAs(token string) *raw {
	r.t.Helper()
	c := r.send(token, "")
	c.answered(r.t, 101)
	return c
}

// A client is told when its connection ends with its token, by the server's clock: one that speaks our sub-protocol, or asks for a hello.
func TestHelloTellsTheExpiry(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)
	good := signed(t, jwt.MapClaims{"sub": "alice", "exp": now.Add(time.Minute).Truncate(time.Second).Unix()})
	forever := signed(t, jwt.MapClaims{"sub": "alice", "exp": int64(1) << 60})
	const protocol = "Sec-WebSocket-Protocol: roost.v1, bearer."
	minute := `"expires":"2026-01-02T03:05:10.000Z","expires_in":64`
	for name, tt := range map[string]struct {
		query, header string
		stays, resume bool
		want          string // the hello's payload, with x for ids; "": there is none
	}{
		"with our sub-protocol":       {header: protocol + good, want: minute},
		"for longer than any year":    {header: protocol + forever, want: `"expires":"9999-12-31T23:59:59.000Z","expires_in":9223372036`},
		"without":                     {query: "token=" + good},
		"without, but asks for an id": {query: "hello=1&token=" + good, want: `"connection":"x",` + minute},
		"with a position":             {query: "token=" + good, resume: true, want: `"id":"x",` + minute},
		"comes back":                  {query: "since=x&token=" + good, resume: true, want: `"id":"x",` + minute + `,"resumed":false`},
		"with all":                    {query: "hello=1", header: protocol + good, resume: true, want: `"id":"x","connection":"x",` + minute},
		"does not end":                {header: protocol + good, stays: true},
		"does not end, and asks":      {query: "hello=1", header: protocol + good, stays: true, want: `"connection":"x"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, func(c *Config) {
				if tt.resume {
					resuming(c)
				}
				c.Now, c.CloseOnExpiry = func() time.Time { return now }, !tt.stays
			})
			conn, err := r.dialTCP()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = conn.Close() })
			_ = conn.SetDeadline(time.Now().Add(patience))
			head := "GET /ws?" + tt.query + " HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
				"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
			if tt.header != "" {
				head += tt.header + "\r\n"
			}
			_, _ = io.WriteString(conn, head+"\r\n")
			c := &raw{conn, bufio.NewReader(conn)}
			c.answered(t, 101)
			r.deliver("alice", `{"type":"n"}`)
			_, first := c.readFrame(t)
			got := regexp.MustCompile(`"(id|connection)":"[\w.-]+"`).ReplaceAllString(string(first), `"$1":"x"`)
			switch {
			case tt.want == "" && !strings.HasPrefix(got, `{"type":"n"`):
				t.Errorf("got %s before the first notification", first)
			case tt.want != "" && got != `{"type":"_hello","payload":{`+tt.want+`}}`:
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// A token of a key pair is checked by a worker, and takes its time.
func TestRenewalByAKeyPair(t *testing.T) {
	t.Parallel()
	r, issuer := startIssuer(t, func(c *Config) { c.CloseOnExpiry = true })
	c := r.upgrade("alice")
	forged := issuer.forged(t, "known")
	if a := c.auth(t, forged); a.Code != 4401 || a.Reason != "token signature wrong" {
		t.Errorf("forged: %+v", a)
	}
	_, _ = c.Write(longFrame(0x81, authText(issuer.token(t, "later", "alice"))))
	eventually(t, "the worker is held", func() bool { return issuer.held.Load() == 1 })
	// Everything else goes on meanwhile. A second token is not even looked at.
	r.deliver("alice", `{"type":"n"}`)
	if _, payload := c.readFrame(t); !bytes.HasPrefix(payload, []byte(`{"type":"n"`)) {
		t.Errorf("got %q", payload)
	}
	if a := c.auth(t, issuer.token(t, "known", "alice")); a.Code != 4429 || a.RetryAfter != 1 || !strings.Contains(a.Reason, "wait for the answer") {
		t.Errorf("a second one: %+v", a)
	}
	issuer.let()
	if a := c.authAnswered(t); !a.OK {
		t.Errorf("%+v", a)
	}
	if a := c.auth(t, issuer.token(t, "known", "alice")); !a.OK {
		t.Errorf("another one: %+v", a)
	}
	if s := r.server.Stats(); s.Renewals["renewed"] != 2 || s.Renewals["too_many"] != 1 || s.Renewals["token"] != 1 || s.Renewing != 0 {
		t.Errorf("%v, %d under way", s.Renewals, s.Renewing)
	}
}

// However the message is cut, it is read once.
func TestRenewalInPieces(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *Config) { c.MaxMessage = 100 })
	token := signed(t, jwt.MapClaims{"sub": "alice"})
	message := " { \"type\" : \"auth\" , \"token\":\"" + token + "\" } "
	for name, stream := range map[string][]byte{
		"one frame": longFrame(0x81, message),
		"fragments": bytes.Join([][]byte{longFrame(0x01, message[:7]), masked(0x89, "a"), longFrame(0x00, ""), longFrame(0x00, message[7:50]), masked(0x89, "b"), longFrame(0x80, message[50:])}, nil),
	} {
		for _, bytewise := range []bool{false, true} {
			c := r.upgrade("alice")
			for i := 0; i < len(stream); i++ {
				piece := stream[i : i+1]
				if !bytewise {
					piece, i = stream, len(stream)
				}
				if _, err := c.Write(piece); err != nil {
					t.Fatal(err)
				}
			}
			for bytes.Count(stream, []byte{0x89, 0x81}) > 0 {
				opcode, payload := c.readFrame(t)
				if opcode == 0x8a {
					if string(payload) == "b" {
						break
					}
					continue
				}
				t.Fatalf("got %x %q", opcode, payload)
			}
			if a := c.authAnswered(t); !a.OK {
				t.Errorf("%s, byte by byte %v: %+v", name, bytewise, a)
			}
		}
	}
	eventually(t, "nothing is kept", func() bool { return r.server.Stats().RecordBytes == 0 })
}

// A message that begins as a token and is none has its limits, and its bytes are counted until it ends.
func TestUnfinishedTokens(t *testing.T) {
	t.Parallel()
	const total = 8 * leastPendingShare
	r := start(t, func(c *Config) { c.Loops, c.MaxMessage, c.PendingTotal = 1, 512, leastPendingShare })
	kept := strings.Repeat("x", 8000)
	c := r.upgrade("first")
	_, _ = c.Write(longFrame(0x01, `{"type":"auth","token":"`+kept))
	eventually(t, "it is counted", func() bool { return r.server.Stats().RecordBytes >= len(kept) })
	_, _ = c.Write(longFrame(0x80, `"}`)) // ends: no token, but a message
	if a := c.authAnswered(t); a.Code != 4401 {
		t.Errorf("%+v", a)
	}
	eventually(t, "it is not counted", func() bool { return r.server.Stats().RecordBytes == 0 })
	_, _ = c.Write(longFrame(0x01, `{"type":"auth","token":"`+kept))
	eventually(t, "it is counted", func() bool { return r.server.Stats().RecordBytes >= len(kept) })
	for i := range total / len(kept) {
		one := r.upgrade(fmt.Sprint("user", i))
		_, _ = one.Write(longFrame(0x01, `{"type":"auth","token":"`+kept))
	}
	eventually(t, "the oldest are closed", func() bool { return r.server.Stats().Ended["message_timeout"] > 0 })
	eventually(t, "the first one is", func() bool { return r.hub.ConnectionsOf("first") == 0 })
	eventually(t, "the bound holds", func() bool { s := r.server.Stats(); return s.RecordBytes <= leastPendingShare })
	late := r.upgrade("late")
	_, _ = late.Write(longFrame(0x01, `{"type":"auth","token":"`+kept))
	_, _ = late.Write(longFrame(0x80, strings.Repeat("x", 1000)))
	if opcode, payload := late.readFrame(t); opcode != 0x88 || binary.BigEndian.Uint16(payload) != 1009 {
		t.Errorf("got %x %q, want 1009", opcode, payload)
	}
	other := r.upgrade("other")
	_, _ = other.Write(longFrame(0x81, `{"type":"other","token":"`+kept))
	if opcode, payload := other.readFrame(t); opcode != 0x88 || binary.BigEndian.Uint16(payload) != 1009 {
		t.Errorf("got %x %q, want 1009", opcode, payload)
	}
}

// A flood of tokens has few of them checked.
func TestRenewalFlood(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	c := r.upgrade("alice")
	const flood = 300
	frame := longFrame(0x81, authText(signed(t, jwt.MapClaims{"sub": "alice"})))
	begun := time.Now()
	if _, err := c.Write(bytes.Repeat(frame, flood)); err != nil {
		t.Fatal(err)
	}
	total := func() (n uint64) {
		for _, of := range r.server.Stats().Renewals {
			n += of
		}
		return n
	}
	go func() { _, _ = io.Copy(io.Discard, c.r) }()
	eventually(t, "all are answered", func() bool { return total() == flood })
	good := int(r.server.Stats().Renewals["renewed"])
	if most := renewalBurst + int(time.Since(begun).Seconds()*renewalRate) + 1; good < 1 || good > most {
		t.Errorf("%d tokens were checked, want 1 to %d", good, most)
	}
	if s := r.server.Stats(); s.Renewals["too_many"] != uint64(flood-good) || s.Renewals["renewed"] != uint64(good) {
		t.Errorf("%v, want %d renewed", s.Renewals, good)
	}
}

// The answer goes ahead of what waits, and only one waits: the one to the token that was checked.
func TestRenewalWhileStalled(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *Config) { c.QueueBytes, c.QueueMessages = 1<<20, 10 })
	c := r.upgrade("alice")
	payload := `{"type":"n","payload":"` + strings.Repeat("x", 40_000) + `"}`
	eventually(t, "notifications are lost", func() bool {
		r.deliver("alice", payload)
		return r.server.Stats().FailedTotal() > 0
	})
	frame := longFrame(0x81, authText(signed(t, jwt.MapClaims{"sub": "alice"})))
	_, _ = c.Write(frame)
	eventually(t, "it is renewed", func() bool { return r.server.Stats().Renewals["renewed"] == 1 })
	_, _ = c.Write(bytes.Repeat(frame, 50))
	eventually(t, "the others are refused", func() bool {
		s := r.server.Stats()
		return s.ClientMessages == 51 && s.Renewals["too_many"] > 0 && s.Renewing == 0
	})
	r.onConn("alice", func(c *conn) {
		for range 1000 { // whatever comes now comes too fast
			c.loop.renewed.Allow(c, r.server.now(), renewalRate, renewalBurst)
		}
	})
	before := r.server.Stats().Renewals["too_many"]
	_, _ = c.Write(frame)
	eventually(t, "one more is refused", func() bool { return r.server.Stats().Renewals["too_many"] == before+1 })
	if waiting := r.waitingControl(); waiting > 2*150 {
		t.Errorf("%d bytes of answers wait", waiting)
	}
	answers, behind := 0, 0
	for behind == 0 || r.server.Stats().Stalled > 0 || r.server.Stats().Waiting > 0 {
		_, text := c.readFrameOfAnyLength(t)
		switch {
		case bytes.HasPrefix(text, []byte(`{"type":"_auth","payload":{"ok":true`)):
			answers++
		case bytes.HasPrefix(text, []byte(`{"type":"_auth"`)):
			t.Errorf("got %s", text)
		case answers > 0:
			behind++
		}
	}
	if answers != 1 {
		t.Errorf("%d answers came", answers)
	}
	r.balanced()
}

// readFrameOfAnyLength is readLong without pings.
func (c *raw) readFrameOfAnyLength(t *testing.T) (opcode byte, payload []byte) {
	t.Helper()
	for {
		if opcode, payload = c.readLong(t); opcode != 0x89 {
			return opcode, payload
		}
	}
}

// A connection whose token expires while the next one is checked does not end before that is done; nor does it last longer.
func TestTokenExpiresDuringTheCheck(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64 // of the wall clock
	clock := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	for name, tt := range map[string]struct {
		user    string // of the next token
		expired bool   // the first one had expired when that came
		stays   bool
	}{
		"a good one":                      {user: "alice", stays: true},
		"another user's":                  {user: "bob"},
		"a good one that comes too late":  {user: "alice", expired: true},
		"another user's, and too late so": {user: "bob", expired: true},
	} {
		t.Run(name, func(t *testing.T) {
			r, issuer := startIssuer(t, func(c *Config) {
				c.CloseOnExpiry, c.Now, c.AuthTimeout = true, clock, patience
				c.PingInterval, c.PongWait = time.Hour, 2*time.Hour // else the first ping may find it expired before the token comes
			})
			ahead.Store(0)
			c := r.upgradeAs(signed(t, jwt.MapClaims{"sub": "alice", "exp": time.Now().Add(30 * time.Minute).Unix()}))
			if tt.expired {
				ahead.Store(int64(40 * time.Minute))
			}
			_, _ = c.Write(longFrame(0x81, authText(issuer.token(t, "later", tt.user)))) // good for an hour
			if tt.expired {                                                              // it ends at once: before a worker begins, or while the worker is held
				c.expiredNow(t)
				return
			}
			eventually(t, "the worker is held", func() bool { return issuer.held.Load() == 1 })
			ahead.Store(int64(40 * time.Minute))
			open := false
			onTimer := func() {
				r.onConn("alice", func(c *conn) { c.onTimer(r.server.now()); open = c.state == stateOpen })
			}
			if onTimer(); !open {
				t.Error("it has ended before the token was checked")
			}
			issuer.let()
			if a := c.authAnswered(t); a.OK != tt.stays {
				t.Errorf("%+v", a)
			}
			if !tt.stays {
				c.expiredNow(t)
				return
			}
			if onTimer(); !open {
				t.Error("it has ended")
			}
		})
	}
}

// expiredNow reads the close frame of a connection whose token has expired.
func (c *raw) expiredNow(t *testing.T) {
	t.Helper()
	if opcode, payload := c.readFrame(t); opcode != 0x88 || binary.BigEndian.Uint16(payload) != 4401 {
		t.Errorf("got %x %q, want 4401", opcode, payload)
	}
}

// A token that is not checked in time changes nothing, whatever becomes of it later.
func TestRenewalTakesTooLong(t *testing.T) {
	t.Parallel()
	r, issuer := startIssuer(t, func(c *Config) { c.AuthWorkers, c.PingInterval, c.PongWait = 1, time.Hour, 2*time.Hour })
	c := r.upgradeAs(signed(t, jwt.MapClaims{"sub": "alice", "groups": "a"}))
	_, _ = c.Write(longFrame(0x81, authText(issuer.token(t, "later", "alice")))) // without groups
	eventually(t, "the worker is held", func() bool { return issuer.held.Load() == 1 })
	r.onConn("alice", func(c *conn) {
		k, now := c.renewal(), r.server.now()
		if at := r.server.moment(c.loop.wheel.At(c)); at > k.deadline+r.server.tickLength {
			t.Errorf("the timer fires %s after the deadline", at-k.deadline)
		}
		k.deadline = now // it is over, however long the worker took to begin
		c.resetTimer(now)
	})
	if a := c.authAnswered(t); a.Code != 4503 || a.RetryAfter < 1 || a.Reason != "too many tokens to check at a time" {
		t.Errorf("%+v", a)
	}
	issuer.let()
	other := r.upgrade("bob") // the worker is free: it has done with alice's
	_, _ = other.Write(longFrame(0x81, authText(issuer.token(t, "known", "bob"))))
	eventually(t, "the next one is done", func() bool { s := r.server.Stats(); return s.Renewals["renewed"] == 1 && s.Renewals["busy"] == 1 })
	if all := r.groupsOf("alice"); !slices.Equal(all, []string{"a"}) {
		t.Errorf("in %q", all)
	}
}

// With a full queue the one that would wait longest is told to come again. Users with a good token come before those who only try.
func TestRenewalsInAFullQueue(t *testing.T) {
	t.Parallel()
	const most = 4
	r, issuer := startIssuer(t, func(c *Config) { c.AuthWorkers, c.AuthQueue, c.AuthTimeout = 1, most, patience })
	issuer.hold(r)
	var all []*raw
	for i := range most + 2 {
		c := r.upgrade(fmt.Sprint("user", i))
		_, _ = c.Write(longFrame(0x81, authText(issuer.token(t, "known", fmt.Sprint("user", i)))))
		eventually(t, "it is queued", func() bool { s := r.server.Stats(); return s.Renewing+int(s.Renewals["busy"]) == i+1 })
		all = append(all, c)
	}
	issuer.let()
	good, busy := 0, 0
	for _, c := range all {
		switch a := c.authAnswered(t); {
		case a.OK:
			good++
		case a.Code == 4503 && a.RetryAfter > 0:
			busy++
		default:
			t.Errorf("%+v", a)
		}
	}
	if good != most || busy != 2 {
		t.Errorf("%d were renewed, %d refused", good, busy)
	}
}

// A connection that ends while its token is checked leaves nothing behind, and gets no answer behind its close frame.
func TestConnectionEndsDuringTheCheck(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(r *rig, c *raw){
		"the client goes":   func(_ *rig, c *raw) { _ = c.Close() },
		"the client closes": func(_ *rig, c *raw) { _, _ = c.Write(masked(0x88, "\x03\xe8")) },
		"a command":         func(r *rig, _ *raw) { r.hub.Control("alice", `{"disconnect":{}}`) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, issuer := startIssuer(t, nil)
			c := r.upgrade("alice")
			_, _ = c.Write(longFrame(0x81, authText(issuer.token(t, "later", "alice"))))
			eventually(t, "the worker is held", func() bool { return issuer.held.Load() == 1 })
			end(r, c)
			eventually(t, "it has ended", func() bool { s := r.server.Stats(); return r.hub.Connections() == 0 && s.Renewing == 0 })
			if name != "the client goes" {
				if opcode, payload := c.readFrame(t); opcode != 0x88 {
					t.Errorf("got %x %q", opcode, payload)
				}
				_, _ = c.Write(longFrame(0x81, authText(issuer.token(t, "known", "alice")))) // is discarded
			}
			issuer.let()
			eventually(t, "it has gone", func() bool { return r.server.Stats().Sockets == 0 })
			for _, l := range r.server.loops {
				done := make(chan struct{})
				l.do(func() {
					defer close(done)
					if l.renewing.Len() != 0 || l.renewalBytes != 0 || l.renewed.Len() != 0 {
						t.Errorf("%d renewals, %d bytes, %d limits are left", l.renewing.Len(), l.renewalBytes, l.renewed.Len())
					}
				})
				<-done
			}
		})
	}
}

// While connections are closed one after the other, those that are open renew their tokens.
func TestRenewalWhileDraining(t *testing.T) {
	t.Parallel()
	r := start(t, nil)
	c := r.upgrade("alice")
	r.server.draining.Store(true)
	if a := c.auth(t, signed(t, jwt.MapClaims{"sub": "alice"})); !a.OK {
		t.Errorf("%+v", a)
	}
}

// Bytes from the client of an event stream are ignored, a token too.
func TestNoRenewalOnEventStreams(t *testing.T) {
	t.Parallel()
	r := startStreams(t, nil)
	s := r.stream("alice")
	_, _ = s.Write(longFrame(0x81, authText(signed(t, jwt.MapClaims{"sub": "alice"}))))
	r.deliver("alice", `{"type":"n","payload":7}`)
	if block := s.block(t); !strings.Contains(block, `"payload":7`) {
		t.Errorf("got %q", block)
	}
	for result, n := range r.server.Stats().Renewals {
		if n != 0 {
			t.Errorf("%d %s", n, result)
		}
	}
}

// The limits of a message and of a token agree.
func TestAuthMessagesHoldTokens(t *testing.T) {
	t.Parallel()
	if n := len(authText(strings.Repeat("x", auth.MaxToken))); n+400 > wsproto.MaxAuth {
		t.Errorf("a message with the longest token has %d bytes, with white space more; %d are allowed", n, wsproto.MaxAuth)
	}
	if handshake.MaxHead < auth.MaxToken {
		t.Error("no request has room for the longest token")
	}
}

// A renewal that is under way goes over to the next process, as do half a message, an answer that waits and the limit.
func TestHandoverOfRenewals(t *testing.T) {
	t.Parallel()
	r, issuer := startIssuer(t, func(c *Config) {
		c.CloseOnExpiry, c.AuthTimeout, c.QueueMessages, c.AuthWorkers = true, patience, 1<<20, 2
	})
	later := time.Now().Add(2 * time.Hour).Unix()
	next := func(user string) string { return signed(t, jwt.MapClaims{"sub": user, "exp": later, "groups": "new"}) }
	checking := r.upgrade("checking")
	_, _ = checking.Write(longFrame(0x81, authText(issuer.token(t, "later", "checking"))))
	eventually(t, "the worker is held", func() bool { return issuer.held.Load() == 1 })
	half := r.upgrade("half")
	message := longFrame(0x81, authText(next("half")))
	_, _ = half.Write(message[:len(message)/2])
	eventually(t, "half of it is kept", func() bool { return r.server.Stats().RecordBytes > 0 })
	deaf := r.upgrade("deaf")
	eventually(t, "one is stalled", func() bool {
		r.deliver("deaf", `{"type":"n","payload":"`+strings.Repeat("x", 20_000)+`"}`)
		return r.server.Stats().Stalled == 1
	})
	_, _ = deaf.Write(longFrame(0x81, authText(next("deaf"))))
	eventually(t, "its answer waits", func() bool { return r.server.Stats().Renewals["renewed"] == 1 })
	if n := r.server.Stats().RecordBytes; n == 0 {
		t.Error("nothing is kept")
	}
	after, handed := r.handOver(nil)
	if handed.Connections != 3 {
		t.Fatalf("%+v", handed)
	}
	s := r.server.Stats()
	if s.Renewing != 0 || s.RecordBytes != 0 {
		t.Errorf("%d are under way in the old one, %d bytes kept", s.Renewing, s.RecordBytes)
	}
	issuer.let()
	if a := checking.authAnswered(t); !a.OK {
		t.Errorf("checking: %+v", a)
	}
	_, _ = half.Write(message[len(message)/2:])
	if a := half.authAnswered(t); !a.OK || after.expiresOf("half") != expiry(later+5) {
		t.Errorf("half: %+v", a)
	}
	for _, user := range []string{"half", "deaf"} {
		if all := after.groupsOf(user); !slices.Equal(all, []string{"new"}) {
			t.Errorf("%s is in %q", user, all)
		}
	}
	limited := false
	after.onConn("deaf", func(c *conn) { _, limited = c.loop.renewed.Whole(c) })
	if !limited {
		t.Error("the limit has not gone over")
	}
	for answers := 0; answers == 0; {
		if _, text := deaf.readFrameOfAnyLength(t); bytes.HasPrefix(text, []byte(`{"type":"_auth","payload":{"ok":true`)) {
			answers++
		}
	}
	if n := r.server.Stats().Renewals["renewed"]; n != 1 {
		t.Errorf("%d were renewed in the old one", n)
	}
	if n := after.server.Stats().Renewals["renewed"]; n != 2 {
		t.Errorf("%d were renewed in the new one", n)
	}
	_ = deaf.Close()
}

// A handover that fails ends no renewal, and while it is under way no groups change.
func TestRenewalsGoOnWhenAHandoverFails(t *testing.T) {
	t.Parallel()
	r, issuer := startIssuer(t, func(c *Config) { c.AuthTimeout = patience })
	c := r.upgradeAs(signed(t, jwt.MapClaims{"sub": "alice", "groups": "old"}))
	_, _ = c.Write(longFrame(0x81, authText(issuer.token(t, "later", "alice"))))
	eventually(t, "the worker is held", func() bool { return issuer.held.Load() == 1 })
	m, _ := r.begin(nil)
	m.freeze()
	issuer.let()
	r.server.workers.waitIdle(t)
	if all := r.groupsOf("alice"); !slices.Equal(all, []string{"old"}) {
		t.Errorf("in %q while nothing may change", all)
	}
	m.out.Abort()
	m.in.Abort()
	if a := c.authAnswered(t); !a.OK {
		t.Errorf("%+v", a)
	}
	if all := r.groupsOf("alice"); len(all) != 0 {
		t.Errorf("in %q", all)
	}
}

// waitIdle waits until a job that is queued behind all others is done.
func (w *workers) waitIdle(t *testing.T) {
	t.Helper()
	done := make(chan struct{})
	k := &probeJob{done: done}
	k.job = job{work: k}
	w.put(&w.tokens, &k.job, 1<<20, 0)
	<-done
}

// hold has a worker wait, which has begun with nothing else, until release is called.
func (w *workers) hold(t *testing.T) (release func()) {
	t.Helper()
	k := &holdJob{begun: make(chan struct{}), end: make(chan struct{})}
	k.job = job{work: k}
	w.put(&w.tokens, &k.job, 1<<20, 0)
	<-k.begun
	release = sync.OnceFunc(func() { close(k.end) })
	t.Cleanup(release)
	return release
}

// holdJob is work that takes until it is told to end.
type holdJob struct {
	job
	begun, end chan struct{}
}

func (k *holdJob) run(*Server)  { close(k.begun); <-k.end }
func (k *holdJob) cancel(*loop) {}

// probeJob is work that only says that it was done.
type probeJob struct {
	job
	done chan struct{}
}

func (k *probeJob) run(*Server)  { close(k.done) }
func (k *probeJob) cancel(*loop) {}

// The groups of the token before are left, and nothing of the others is missed.
func TestRenewalOfGroups(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *Config) {
		c.Hub = hub.New(hub.Config{Logger: c.Logger})
	})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.hub.RunBroadcasts(func() { r.server.Flush() })
	}()
	t.Cleanup(func() { r.hub.EndBroadcasts(t.Context()); <-ended })
	c := r.upgradeAs(signed(t, jwt.MapClaims{"sub": "alice", "groups": "old"}))
	r.hub.Control("alice", `{"join":["room"]}`)
	if a := c.auth(t, signed(t, jwt.MapClaims{"sub": "alice", "groups": "new"})); !a.OK {
		t.Fatalf("%+v", a)
	}
	r.hub.DeliverGroup("old", `{"type":"n","payload":"old"}`)
	r.hub.DeliverGroup("room", `{"type":"n","payload":"room"}`)
	r.hub.DeliverGroup("new", `{"type":"n","payload":"new"}`)
	var got []string
	for range 2 {
		_, text := c.readFrame(t)
		_, rest, _ := strings.Cut(string(text), `"payload":"`)
		payload, _, _ := strings.Cut(rest, `"`)
		got = append(got, payload)
	}
	if slices.Sort(got); !slices.Equal(got, []string{"new", "room"}) {
		t.Errorf("got %q", got)
	}
}
