package netpoll

import (
	"bufio"
	"bytes"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"roost/hub"
	"roost/wsproto"
	"roost/wsproto/auth"
	"roost/wsproto/handshake"
)

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
	for behind == 0 || r.describe("alice").Waiting > 0 { // at one moment: a frame is under way as long as one waits
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
