package hub

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"roost/internal/names"
	"roost/wsproto"
)

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

// TestControlIsDoneInSpiteOfFaults: one who is to be cut off is, and the log says what was wrong, a few times.
func TestControlIsDoneInSpiteOfFaults(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	h := New(Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	const times = 100
	for range times {
		alice := mustAdmit(t, h, "alice")
		h.Control("alice", `{"disconnect":{"code":"4001","reason":"secret","x":null}}`)
		if got := alice.told(); fmt.Sprint(got) != "[{4403 secret}]" {
			t.Fatalf("alice was told %v", got)
		}
	}
	if s := h.Stats(); s.Commands != times || s.CommandsInvalid != 0 || s.Connections != 0 {
		t.Errorf("stats %+v", s)
	}
	lines := strings.Count(log.String(), "command has faults")
	if lines < 1 || lines > 50 || !strings.Contains(log.String(), "user_id=alice") || strings.Contains(log.String(), "secret") ||
		!strings.Contains(log.String(), "from 3000 to 4999; a member that is none of") {
		t.Errorf("%d lines:\n%s", lines, log.String())
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

// closing is how a connection was told to end.
type closing struct {
	code   wsproto.CloseCode
	reason string
}

// Disconnect implements Conn.
func (c *fakeConn) Disconnect(code wsproto.CloseCode, reason, _ string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.disconnects = append(c.disconnects, closing{code, reason})
}

// told returns the commands that reached the connection.
func (c *fakeConn) told() []closing {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.disconnects
}

// commandTest is what a message comes to: a code and a reason, with its faults, or no command.
type commandTest struct {
	published string
	code      wsproto.CloseCode
	reason    string
	faults    []error
	err       error
}

func commandTests() []commandTest {
	long := strings.Repeat("ä", maxCloseReason/2) + "x" // 123 bytes
	const code, reason = DefaultDisconnectCode, DefaultDisconnectReason
	one := func(err error) []error { return []error{err} }
	tests := []commandTest{
		// As it should be.
		{`{"disconnect":{}}`, code, reason, nil, nil},
		{" \n{ \"disconnect\" : { } }\t", code, reason, nil, nil},
		{`{"disconnect":{"code":4000,"reason":"out"}}`, 4000, "out", nil, nil},
		{`{"disconnect":{"reason":"out","code":4000}}`, 4000, "out", nil, nil},
		{`{"\u0064isconnect":{"c\u006fde":4000,"reason":"\u006fut"}}`, 4000, "out", nil, nil},
		{`{"disconnect":{"code":1000}}`, 1000, reason, nil, nil},
		{`{"disconnect":{"code":1008}}`, 1008, reason, nil, nil},
		{`{"disconnect":{"code":3000}}`, 3000, reason, nil, nil},
		{`{"disconnect":{"code":4999,"reason":""}}`, 4999, "", nil, nil},
		{`{"disconnect":{"reason":"` + long + `"}}`, code, long, nil, nil},

		// A reason that can't be sent as it is. The part that is cut off leaves UTF-8.
		{`{"disconnect":{"reason":"` + long + `y"}}`, code, long, one(errFaultLong), nil},
		{`{"disconnect":{"code":4001,"reason":"` + strings.Repeat("ä", 70) + `"}}`, 4001, strings.Repeat("ä", 61), one(errFaultLong), nil},
		{`{"disconnect":{"reason":"` + strings.Repeat("😀", 40) + `"}}`, code, strings.Repeat("😀", 30), one(errFaultLong), nil},
		{`{"disconnect":{"code":4001,"reason":7}}`, 4001, reason, one(errFaultReason), nil},
		{`{"disconnect":{"reason":null,"code":4001}}`, 4001, reason, one(errFaultReason), nil},
		{`{"disconnect":{"reason":["a"]}}`, code, reason, one(errFaultReason), nil},
		{`{"disconnect":{"reason":"\ud800"}}`, code, "\ufffd", nil, nil},
		{"{\"disconnect\":{\"code\":4001,\"reason\":\"a\xff\"}}", 4001, "a\ufffd", one(errFaultUTF8), nil},

		// Members too many, twice, or with a capital.
		{`{"disconnect":{"code":4001},"x":1}`, 4001, reason, one(errFaultMember), nil},
		{`{"x":{"disconnect":false},"disconnect":{"code":4001}}`, 4001, reason, one(errFaultMember), nil},
		{`{"disconnect":{"code":4001,"why":1,"who":2}}`, 4001, reason, one(errFaultMember), nil},
		{`{"disconnect":{"code":4001},"disconnect":{"code":4002}}`, 4002, reason, one(errFaultTwice), nil},
		{`{"disconnect":{"code":4001,"code":4002}}`, 4002, reason, one(errFaultTwice), nil},
		{`{"disconnect":{"code":4001,"code":0}}`, code, reason, []error{errFaultCode, errFaultTwice}, nil},
		{`{"disconnect":{"reason":"a","code":4001,"r\u0065ason":"b"}}`, 4001, "b", one(errFaultTwice), nil},
		{`{"Disconnect":{"Code":4001,"REASON":"out"}}`, 4001, "out", one(errFaultCase), nil},

		// Something else in place of the object.
		{`{"disconnect":null}`, code, reason, one(errFaultObject), nil},
		{`{"disconnect":true}`, code, reason, one(errFaultObject), nil},
		{`{"disconnect":[]}`, code, reason, one(errFaultObject), nil},
		{`{"disconnect":4001}`, code, reason, one(errFaultObject), nil},
		{`{"disconnect":"signed out"}`, code, reason, one(errFaultObject), nil},
		{`["disconnect"]`, code, reason, one(errFaultObject), nil},

		// Around the object, or instead of JSON.
		{"\ufeff" + `{"disconnect":{"code":4001}}`, 4001, reason, one(errFaultBOM), nil},
		{`{"disconnect":{"code":4001}}}`, 4001, reason, one(errFaultTrailing), nil},
		{`{"disconnect":{"code":4001}} {}`, 4001, reason, one(errFaultTrailing), nil},
		{`{"disconnect":{"code":4001}}` + "\x00", 4001, reason, one(errFaultTrailing), nil},
		{`"{\"disconnect\":{\"code\":4001}}"`, 4001, reason, one(errFaultEncoded), nil},
		{`"disconnect"`, code, reason, []error{errFaultEncoded, errFaultJSON}, nil},
		{`"\"{\\\"disconnect\\\":{}}\""`, code, reason, []error{errFaultEncoded, errFaultObject}, nil},
		{`disconnect`, code, reason, one(errFaultJSON), nil},
		{`DISCONNECT alice`, code, reason, one(errFaultJSON), nil},
		{`{'disconnect': {'code': 4001}}`, code, reason, one(errFaultJSON), nil},
		{`{"disconnect":{"reason":"said "no""}}`, code, reason, one(errFaultJSON), nil},
		{`{"disconnect":{"code":4001,"reason":"cut o`, code, reason, one(errFaultJSON), nil},
		{`{"disconnect":{},}`, code, reason, one(errFaultJSON), nil},
		{`{"disconnect":{"code":04403}}`, code, reason, one(errFaultJSON), nil},
		{`{"disconnect":{"code":+4403}}`, code, reason, one(errFaultJSON), nil},
		{`{"disconnect":` + strings.Repeat("[", 20_000), code, reason, one(errFaultJSON), nil},

		// No command.
		{"", 0, "", nil, errCommandEmpty},
		{" \r\n", 0, "", nil, errCommandEmpty},
		{"\ufeff", 0, "", nil, errCommandEmpty},
		{`""`, 0, "", nil, errCommandEmpty},
		{`{`, 0, "", nil, errCommandText},
		{`nonsense`, 0, "", nil, errCommandText},
		{`null`, 0, "", nil, errCommandText},
		{`[]`, 0, "", nil, errCommandText},
		{`7`, 0, "", nil, errCommandText},
		{strings.Repeat("x", 100_000) + "disconnect", 0, "", nil, errCommandText},
		{`{}`, 0, "", nil, errCommandNone},
		{`{"type":"a","payload":1}`, 0, "", nil, errCommandNone},
		{`{"type":"disconnected","payload":{"disconnect":{}}}`, 0, "", nil, errCommandNone},
		{`{"refresh":{"disconnect":{}}}`, 0, "", nil, errCommandNone},
		{`{"disconnect":false}`, 0, "", nil, errCommandFalse},
		{`{"disconnect":false,"join":["g"]}`, 0, "", one(errFaultBoth), errCommandFalse},
		{`{"join":null}`, 0, "", one(errFaultGroups), errCommandGroup},
		{`{"join":["a\u0001",7],"leave":{}}`, 0, "", nil, errCommandGroup},
	}
	for _, value := range []string{
		"0", "-4403", "999", "1001", "1005", "1006", "1007", "1009", "1012", "1015", "2999", "5000", "65535", "69939",
		"4001.0", "4.001e3", `"4001"`, "null", "true", "[4001]", "99999999999999999999",
	} {
		tests = append(tests, commandTest{`{"disconnect":{"code":` + value + `,"reason":"out"}}`, code, "out", one(errFaultCode), nil})
	}
	return tests
}

func TestParseCommand(t *testing.T) {
	t.Parallel()
	for _, test := range commandTests() {
		got, err := parseCommand(test.published)
		if !errors.Is(err, test.err) {
			t.Errorf("%.80q: %v, want %v", test.published, err, test.err)
			continue
		}
		if err == nil && (got.code != test.code || got.reason != test.reason || !slices.Equal(got.faults, test.faults)) {
			t.Errorf("%.80q: %d %q, %q; want %d %q, %q", test.published, got.code, got.reason, got.faults, test.code, test.reason, test.faults)
		}
		err = CheckControl(test.published) // who types a command hears of each fault
		for _, fault := range append(test.faults, test.err) {
			if fault != nil && !errors.Is(err, fault) {
				t.Errorf("CheckControl(%.80q): %v, want %v", test.published, err, fault)
			}
		}
		if len(test.faults) == 0 && test.err == nil && err != nil {
			t.Errorf("CheckControl(%.80q): %v", test.published, err)
		}
	}
}

// FuzzParseCommand checks that every command that is accepted can be sent, and that a proper command has no faults.
func FuzzParseCommand(f *testing.F) {
	for _, test := range commandTests() {
		f.Add(test.published)
	}
	f.Fuzz(func(t *testing.T, published string) {
		got, err := parseCommand(published)
		if err != nil {
			return
		}
		if !got.disconnects {
			for _, group := range slices.Concat(got.join, got.leave) {
				if !names.ValidGroup(group) {
					t.Errorf("%q: the group %q", published, group)
				}
			}
			return
		}
		if !got.code.Valid() || got.code == 1005 || got.code == 1006 || len(got.reason) > maxCloseReason || !utf8.ValidString(got.reason) {
			t.Errorf("%q: %+v", published, got)
		}
		if !strings.Contains(strings.ToLower(published), "disconnect") && !strings.Contains(published, `\`) && !strings.ContainsAny(published, "ſK") {
			t.Errorf("%q is a command", published)
		}
	})
}

func TestNobodyDisconnectsHealthChecks(t *testing.T) {
	t.Parallel()
	h := New(Config{Logger: quiet()})
	probe := mustAdmit(t, h, "\x00probe")
	h.Control("\x00probe", `{"disconnect":{}}`)
	if s := h.Stats(); len(probe.told()) != 0 || s.Commands != 0 || s.CommandsInvalid != 0 {
		t.Errorf("told %v, %+v", probe.told(), s)
	}
}

func TestParseGroupCommand(t *testing.T) {
	t.Parallel()
	one := func(err error) []error { return []error{err} }
	var many []string
	for i := range names.MaxGroups + 1 {
		many = append(many, fmt.Sprint("g", i))
	}
	manyJSON, _ := json.Marshal(many)
	tests := []struct {
		published   string
		join, leave []string
		faults      []error
	}{
		{`{"join":["room:42"],"leave":["lobby"]}`, []string{"room:42"}, []string{"lobby"}, nil},
		{` {"join": [ "a" , "b" ] } `, []string{"a", "b"}, nil, nil},
		{`{"leave":[]}`, nil, nil, nil},
		{`{"join":"a"}`, []string{"a"}, nil, nil},
		{`{"join":["a","\u0061"]}`, []string{"a"}, nil, nil},
		{`{"Join":["a"]}`, []string{"a"}, nil, one(errFaultCase)},
		{`{"join":["a",7]}`, []string{"a"}, nil, one(errFaultGroups)},
		{`{"join":["a",""]}`, []string{"a"}, nil, one(errFaultGroup)},
		{`{"join":{},"leave":["a"]}`, nil, []string{"a"}, one(errFaultGroups)},
		{`{"join":["a"],"why":1}`, []string{"a"}, nil, one(errFaultMember)},
		{`{"join":["a"],"join":["b"]}`, []string{"b"}, nil, one(errFaultTwice)},
		{`{"join":` + string(manyJSON) + `}`, many[:names.MaxGroups], nil, one(errFaultMany)},
	}
	for _, test := range tests {
		got, err := parseCommand(test.published)
		if err != nil || got.disconnects || !slices.Equal(got.join, test.join) || !slices.Equal(got.leave, test.leave) || !slices.Equal(got.faults, test.faults) {
			t.Errorf("%.80q: %+v, %v", test.published, got, err)
		}
	}
}
