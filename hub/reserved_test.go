package hub

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

// TestTypesOfRoostReachNobody: what begins with "_" clients take as Roost's own word, so no backend can say it, however it
// is written; what only looks like it is left alone.
func TestTypesOfRoostReachNobody(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	h := New(Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	broadcasting(t, h)
	alice := mustAdmit(t, h, "alice", "staff")
	reserved := []string{
		`{"type":"_gap","payload":{"reason":"redis","since":"2026-01-02T03:04:05.678Z"}}`,
		`{"type":"_"}`, `{"type":"\u005fgap"}`, `{"type":"\u005Fgap"}`, `{"ty\u0070e":"_gap"}`, `{"type":"gap","type":"_gap"}`,
	}
	for _, published := range reserved {
		h.Deliver("alice", published)
		h.Broadcast(published)
		h.DeliverGroup("staff", published)
	}
	fine := []string{`{"type":""}`, `{"type":"a_"}`, `{"type":"\u005e_"}`, `{"type":"\\u005f"}`, `{"type":"_a","type":"b"}`, `{"type":"a","payload":"_"}`, `{"type":"pong"}`}
	for _, published := range fine {
		h.Deliver("alice", published)
	}
	waitUntil(t, "the broadcasts", done(h))
	if n := h.Stats().Invalid["type_reserved"]; alice.count() != len(fine) || n != uint64(3*len(reserved)) {
		t.Errorf("alice got %d, want %d; %d were reserved, want %d", alice.count(), len(fine), n, 3*len(reserved))
	}
	if s := log.String(); !strings.Contains(s, "reason=type_reserved") || !strings.Contains(s, `does not begin with`) || strings.Contains(s, "_gap") {
		t.Errorf("the log says %s", s)
	}
	probe := mustAdmit(t, h, "\x00probe")
	h.Deliver("\x00probe", `{"type":"_probe","payload":null}`)
	if probe.count() != 1 {
		t.Error("a health check's own notification did not come")
	}
}

func TestCheckSaysWhichTypesAreReserved(t *testing.T) {
	t.Parallel()
	for published, says := range map[string]string{
		`{"type":"_gap"}`:      `the type "_gap" is reserved (type_reserved)`,
		`{"type":"\u005fgap"}`: `the type "_gap" is reserved (type_reserved)`,
		`{"type":"ping"}`:      `the type "ping" is reserved`,
		`{"type":"p\u006fng"}`: `the type "pong" is reserved`,
		`{"payload":1}`:        "type_missing",
		`{"type":"pings"}`:     "",
	} {
		switch err := Check(published); {
		case says == "" && err != nil, says != "" && (err == nil || !strings.Contains(err.Error(), says)):
			t.Errorf("%s: %v, want %q", published, err, says)
		}
	}
}
