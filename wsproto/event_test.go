package wsproto

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"roost/internal/position"
)

// event is what a client makes of one block.
type event struct{ kind, data, id, retry string }

// parseEvents reads a stream as section 9.2.6 of the HTML standard says.
func parseEvents(t *testing.T, stream string) (events []event) {
	t.Helper()
	lines := regexp.MustCompile("\r\n|\n|\r").Split(stream, -1)
	var e event
	var data []string
	for _, line := range lines[:len(lines)-1] {
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "data":
			data = append(data, value)
		case "event":
			e.kind = value
		case "id":
			e.id = value
		case "retry":
			e.retry = value
		case "":
			if line == "" && (e != event{} || data != nil) {
				e.data = strings.Join(data, "\n")
				events = append(events, e)
				e, data = event{}, nil
			}
		default:
			t.Fatalf("a client does not know the field in %q", line)
		}
	}
	if (e != event{}) || data != nil {
		t.Fatalf("%q ends within a block", stream)
	}
	return events
}

func textFrame(text string) []byte { return append(AppendTextHeader(nil, len(text)), text...) }

func TestAppendEvents(t *testing.T) {
	for name, c := range map[string]struct{ message, data string }{
		"an envelope":      {`{"type":"a","payload":1}`, `{"type":"a","payload":1}`},
		"nothing":          {``, ``},
		"a leading space":  {` {}`, ` {}`},
		"lines":            {"{\n\t\"a\": 1,\n\n\"b\": 2\n}", "{\n\t\"a\": 1,\n\n\"b\": 2\n}"},
		"CR LF":            {"{\r\n}\r\n", "{\n}\n"},
		"CR":               {"{\r\r}", "{\n\n}"},
		"an escape stays":  {`{"a":"x\n\r"}`, `{"a":"x\n\r"}`},
		"a field in text":  {"{\nid: 7\n}", "{\nid: 7\n}"},
		"a separator":      {"\"\u2028\u0085\"", "\"\u2028\u0085\""},
		"126 bytes":        {strings.Repeat("x", 126), strings.Repeat("x", 126)},
		"more than 65,535": {strings.Repeat("x", 70_000), strings.Repeat("x", 70_000)},
	} {
		t.Run(name, func(t *testing.T) {
			got := parseEvents(t, string(AppendEvents(nil, textFrame(c.message))))
			if len(got) != 1 || got[0] != (event{data: c.data}) {
				t.Errorf("%q arrives as %q", c.message, got)
			}
		})
	}
	t.Run("several frames", func(t *testing.T) {
		frames := append(textFrame(`{"n":1}`), textFrame(strings.Repeat("y", 300))...)
		got := string(AppendEvents([]byte("before"), append(frames, textFrame(`{"n":3}`)...)))
		if want := "beforedata: {\"n\":1}\n\ndata: " + strings.Repeat("y", 300) + "\n\ndata: {\"n\":3}\n\n"; got != want {
			t.Errorf("got %q", got)
		}
	})
}

// The position that a message names is the event's id, and nothing else is.
func TestEventsHavePositionsAsIDs(t *testing.T) {
	const stamp = `"timestamp":"2026-11-29T00:00:00.000Z"`
	for name, c := range map[string]struct{ message, id string }{
		"an envelope":              {`{"type":"a","payload":1,` + stamp + `,"id":"aZ-_9.x"}`, "aZ-_9.x"},
		"without a position":       {`{"type":"a","payload":1,` + stamp + `}`, ""},
		"an id in the payload":     {`{"type":"a","payload":{"id":"x"},` + stamp + `}`, ""},
		"a payload that looks so":  {`{"type":"a","payload":{"b":"","id":"x"},` + stamp + `}`, ""},
		"the last of two":          {`{"type":"a","payload":{"b":"","id":"x"},` + stamp + `,"id":"y"}`, "y"},
		"a hello":                  {`{"type":"_hello","payload":{"id":"h.1"}}`, "h.1"},
		"a hello that has resumed": {`{"type":"_hello","payload":{"id":"h.1","resumed":{"missed":3}}}`, "h.1"},
		"a gap":                    {`{"type":"_gap","payload":{"reason":"resume","since":null}}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := parseEvents(t, string(AppendEvents(nil, textFrame(c.message))))
			if len(got) != 1 || got[0] != (event{data: c.message, id: c.id}) {
				t.Errorf("%q", got)
			}
		})
	}
	p := position.Position{Marker: 7, Count: 8, Check: 9}
	if got := parseEvents(t, string(AppendPositionEvent(nil, p))); len(got) != 1 || got[0] != (event{kind: "position", data: p.String(), id: p.String()}) {
		t.Errorf("%q", got)
	}
}

func FuzzAppendEvents(f *testing.F) {
	f.Add([]byte("{\"a\":\r\n1}"))
	f.Add([]byte("\r\r\n\n data: x"))
	f.Fuzz(func(t *testing.T, message []byte) {
		stream := AppendEvents(nil, textFrame(string(message)))
		got := parseEvents(t, string(stream))
		for i := range got {
			got[i].id = "" // which may be any text, but only one
		}
		want := strings.ReplaceAll(strings.ReplaceAll(string(message), "\r\n", "\n"), "\r", "\n")
		if len(got) == 0 && want == "" { // a client tells nobody of an event without data
			return
		}
		if len(got) != 1 || got[0] != (event{data: want}) {
			t.Errorf("%q arrives as %q", message, got)
		}
	})
}

func TestAppendCloseEvent(t *testing.T) {
	for name, c := range map[string]struct {
		code   CloseCode
		reason string
		id     string
	}{
		"a stop":       {CloseGoingAway, "the server is stopping", ""},
		"for good":     {4403, "signed \"out\"\nnow", EndedID},
		"no reason":    {CloseNormal, "", EndedID},
		"a new token":  {4401, "token expired", ""},
		"more to come": {4507, "too many", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := parseEvents(t, string(AppendCloseEvent(nil, AppendClose(nil, c.code, c.reason))))
			if len(got) != 1 || got[0].kind != "close" || got[0].id != c.id {
				t.Fatalf("got %q", got)
			}
			var data struct {
				Code   CloseCode
				Reason string
			}
			if err := json.Unmarshal([]byte(got[0].data), &data); err != nil || data.Code != c.code || data.Reason != c.reason {
				t.Errorf("%q: %+v, %v", got[0].data, data, err)
			}
		})
	}
}

// The position at the end of a close frame's reason is the id of the event, and no part of its reason.
func TestAppendCloseEventWithAPosition(t *testing.T) {
	const id = "Ugpzi058vIAAAAAAAAAAA"
	for _, c := range []struct {
		code   CloseCode
		reason string
		at     string
		id     string
		text   string
	}{
		{CloseGoingAway, "the server is stopping", id, id, "the server is stopping"},
		{CloseGoingAway, "id= of nothing", "", "", "id= of nothing"},
		{4401, "", id, id, ""},
		{4403, "for good", "", EndedID, "for good"},
		{CloseGoingAway, strings.Repeat("x", 98), id, id, strings.Repeat("x", 98)},
		{CloseGoingAway, strings.Repeat("x", 99), id, "", strings.Repeat("x", 99)}, // no room
	} {
		frame := AppendCloseAt(nil, c.code, c.reason, c.at)
		if len(frame) > 2+125 {
			t.Errorf("a close frame of %d bytes", len(frame))
		}
		got := parseEvents(t, string(AppendCloseEvent(nil, frame)))
		var data struct{ Reason string }
		if len(got) != 1 || json.Unmarshal([]byte(got[0].data), &data) != nil || got[0].id != c.id || data.Reason != c.text {
			t.Errorf("%q at %q becomes %q", c.reason, c.at, got)
		}
	}
}

// The page's client, and the server for clients without one, have to agree about which ends are final.
func TestFinalCodesAreThoseOfTheClient(t *testing.T) {
	source, err := os.ReadFile("../client/roost.js")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`const final = \(code\) => /(.*)/\.test`).FindSubmatch(source)
	if found == nil {
		t.Fatal("client/roost.js has no rule")
	}
	// Go has no look-ahead: ^(100[0789]|3|4(?!40[18]|50[37])) in two.
	const not = "(?!40[18]|50[37])"
	if !bytes.Contains(found[1], []byte(not)) {
		t.Fatalf("the rule is another one: %s", found[1])
	}
	final := regexp.MustCompile(strings.Replace(string(found[1]), not, "", 1))
	comesBack := regexp.MustCompile("^4(40[18]|50[37])")
	for code := CloseCode(1000); code < 5000; code++ {
		if !code.Valid() {
			continue
		}
		want := final.MatchString(code.String()) && !comesBack.MatchString(code.String())
		if code.Final() != want {
			t.Errorf("%d: final is %v, and %v for the client", code, code.Final(), want)
		}
	}
}

func TestAppendRetryAndHeartbeat(t *testing.T) {
	if got := parseEvents(t, string(AppendRetry(nil, 2500*time.Millisecond))); len(got) != 1 || got[0] != (event{retry: "2500"}) {
		t.Errorf("got %q", got)
	}
	scanner := bufio.NewScanner(bytes.NewReader(Heartbeat()))
	if !scanner.Scan() || !strings.HasPrefix(scanner.Text(), ":") {
		t.Errorf("%q begins with no comment", Heartbeat())
	}
	if got := parseEvents(t, string(Heartbeat())); got != nil {
		t.Errorf("the heartbeat is an event: %q", got)
	}
}
