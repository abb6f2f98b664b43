package hub

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"roost/wsproto"
)

func TestParseControl(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ä", maxCloseReason/2) + "x" // 123 bytes
	both := disconnect{4000, "out"}
	tests := []struct {
		command string
		want    disconnect
		err     error
	}{
		{`{"disconnect":{}}`, disconnect{4403, "disconnected"}, nil},
		{" \n{ \"disconnect\" : { } }\t", disconnect{4403, "disconnected"}, nil},
		{`{"disconnect":{"code":4000,"reason":"out"}}`, both, nil},
		{`{"disconnect":{"reason":"out","code":4000}}`, both, nil},
		{`{"\u0064isconnect":{"c\u006fde":4000,"reason":"\u006fut"}}`, both, nil},
		{`{"disconnect":{"code":1000}}`, disconnect{1000, "disconnected"}, nil},
		{`{"disconnect":{"code":1008}}`, disconnect{1008, "disconnected"}, nil},
		{`{"disconnect":{"code":3000}}`, disconnect{3000, "disconnected"}, nil},
		{`{"disconnect":{"code":4999,"reason":""}}`, disconnect{4999, ""}, nil},
		{`{"disconnect":{"reason":"` + long + `"}}`, disconnect{4403, long}, nil},

		{"", disconnect{}, errControlJSON},
		{`{`, disconnect{}, errControlJSON},
		{`{"disconnect":{}`, disconnect{}, errControlJSON},
		{`{"disconnect":{}}}`, disconnect{}, errControlJSON},
		{`{"disconnect":{}} {}`, disconnect{}, errControlJSON},
		{`{"disconnect":{},}`, disconnect{}, errControlJSON},
		{`{"disconnect":{"code":04403}}`, disconnect{}, errControlJSON},
		{`{"disconnect":{"code":+4403}}`, disconnect{}, errControlJSON},
		{`{"disconnect":` + strings.Repeat("[", 20_000), disconnect{}, errControlJSON},
		{"{\"disconnect\":{\"reason\":\"\xff\"}}", disconnect{}, errControlUTF8},
		{`{}`, disconnect{}, errControlShape},
		{`[]`, disconnect{}, errControlShape},
		{`"disconnect"`, disconnect{}, errControlShape},
		{`null`, disconnect{}, errControlShape},
		{`{"Disconnect":{}}`, disconnect{}, errControlShape},
		{`{"type":"a","payload":1}`, disconnect{}, errControlShape},
		{`{"disconnect":{},"x":1}`, disconnect{}, errControlShape},
		{`{"x":1,"disconnect":{}}`, disconnect{}, errControlShape},
		{`{"disconnect":{},"disconnect":{}}`, disconnect{}, errControlShape},
		{`{"disconnect":null}`, disconnect{}, errControlObject},
		{`{"disconnect":true}`, disconnect{}, errControlObject},
		{`{"disconnect":[]}`, disconnect{}, errControlObject},
		{`{"disconnect":{"Code":4403}}`, disconnect{}, errControlMember},
		{`{"disconnect":{"code":4403,"why":1}}`, disconnect{}, errControlMember},
		{`{"disconnect":{"code":4403,"code":4403}}`, disconnect{}, errControlTwice},
		{`{"disconnect":{"reason":"a","code":4403,"r\u0065ason":"a"}}`, disconnect{}, errControlTwice},
		{`{"disconnect":{"reason":7}}`, disconnect{}, errControlReason},
		{`{"disconnect":{"reason":null}}`, disconnect{}, errControlReason},
		{`{"disconnect":{"reason":"` + long + `x"}}`, disconnect{}, errControlReason},
	}
	for _, code := range []string{
		"0", "-4403", "999", "1001", "1005", "1006", "1007", "1009", "1012", "2999", "5000", "65535", "69939",
		"4403.0", "4.403e3", `"4403"`, "null", "99999999999999999999",
	} {
		tests = append(tests, struct {
			command string
			want    disconnect
			err     error
		}{`{"disconnect":{"code":` + code + `}}`, disconnect{}, errControlCode})
	}
	for _, test := range tests {
		got, err := parseControl(test.command)
		if got != test.want || !errors.Is(err, test.err) {
			t.Errorf("%.80q: %+v, %v; want %+v, %v", test.command, got, err, test.want, test.err)
		}
		if err := CheckControl(test.command); !errors.Is(err, test.err) {
			t.Errorf("CheckControl(%.80q): %v", test.command, err)
		}
	}
}

// FuzzParseControl wants that what is taken can be sent, whatever comes.
func FuzzParseControl(f *testing.F) {
	f.Add(`{"disconnect":{"code":4403,"reason":"signed out"}}`)
	f.Add(`{"disconnect":{"reason":"\ud800"}}`)
	f.Fuzz(func(t *testing.T, command string) {
		got, err := parseControl(command)
		if err == nil && (!got.code.Valid() || len(got.reason) > maxCloseReason || strings.ToValidUTF8(got.reason, "") != got.reason) {
			t.Errorf("%q: %+v", command, got)
		}
	})
}

func TestControlReachesEveryConnectionOfTheUserOnly(t *testing.T) {
	t.Parallel()
	h := New(Config{Logger: quiet()})
	one, bob := mustAdmit(t, h, "one"), mustAdmit(t, h, "bob")
	alice := []*fakeConn{mustAdmit(t, h, "alice"), mustAdmit(t, h, "alice"), mustAdmit(t, h, "alice")}
	h.Control("one", `{"disconnect":{}}`)
	h.Control("alice", `{"disconnect":{"code":4000,"reason":"out"}}`)
	h.Control("nobody", `{"disconnect":{}}`)
	for i, c := range alice {
		if got := c.told(); fmt.Sprint(got) != "[{4000 out}]" {
			t.Errorf("connection %d of alice was told %v", i, got)
		}
	}
	if got := one.told(); fmt.Sprint(got) != "[{4403 disconnected}]" {
		t.Errorf("one was told %v", got)
	}
	if got := bob.told(); len(got) != 0 {
		t.Errorf("bob was told %v", got)
	}
	if s := h.Stats(); s.Commands != 3 || s.CommandsInvalid != 0 || s.Received != 0 || s.Connections != 1 || s.Users != 1 {
		t.Errorf("stats %+v", s)
	}
	h.Deliver("alice", `{"type":"late"}`)
	for _, c := range alice {
		if total, ofUser := h.Remove(c); c.count() != 0 || total != 1 || ofUser != 0 { // its loop gets to it
			t.Errorf("%d notifications behind the command; %d connections, %d of alice", c.count(), total, ofUser)
		}
	}
}

func TestControlLeavesOutWhatItDoesNotUnderstand(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	h := New(Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	alice, probe := mustAdmit(t, h, "alice"), mustAdmit(t, h, "\x00probe")
	for range 100 {
		h.Control("alice", `{"secret":{}}`)
	}
	h.Control("\x00probe", `{"disconnect":{}}`)
	h.Control("\x00probe", `nonsense`)
	if s := h.Stats(); s.Commands != 0 || s.CommandsInvalid != 100 {
		t.Errorf("stats %+v", s)
	}
	if len(alice.told()) != 0 || len(probe.told()) != 0 {
		t.Errorf("alice was told %v, the probe %v", alice.told(), probe.told())
	}
	lines := strings.Count(log.String(), "command skipped")
	if lines < 1 || lines > 50 || !strings.Contains(log.String(), "user_id=alice") || strings.Contains(log.String(), "secret") {
		t.Errorf("%d lines:\n%s", lines, log.String())
	}
}

// Disconnect implements Conn.
func (c *fakeConn) Disconnect(code wsproto.CloseCode, reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.disconnects = append(c.disconnects, disconnect{code, reason})
}

// told returns the commands that reached the connection.
func (c *fakeConn) told() []disconnect {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.disconnects
}
