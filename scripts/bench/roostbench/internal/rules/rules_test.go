package rules

import (
	"crypto/sha1"
	"encoding/base64"
	"strings"
	"sync"
	"testing"
	"time"

	"roost/bench/roostbench/internal/raw"
)

// acceptOf is RFC 6455 section 4.2.2, 5.4.
func acceptOf(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// faults are what a server does wrong, and a case of each group that has to show it.
var faults = []struct{ fault, group, name string }{
	{"masking", Wire, "unmasked text"},
	{"reserved bits", Wire, "RSV1 on text"},
	{"reserved bits", Wire, "RSV3 on a continuation"},
	{"opcodes", Wire, "opcode 3"},
	{"opcodes", Wire, "opcode 15"},
	{"short lengths", Wire, "125 in 16 bits"},
	{"short lengths", Wire, "300 in 64 bits"},
	{"whole control frames", Wire, "fragmented ping"},
	{"short control frames", Wire, "ping of 126 bytes"},
	{"order of fragments", Wire, "continuation first"},
	{"order of fragments", Wire, "text inside a message"},
	{"UTF-8", Wire, "text: overlong"},
	{"UTF-8", Wire, "bad over fragments"},
	{"close of one byte", Wire, "close with one byte"},
	{"close codes", Wire, "close code 999, not for the wire"},
	{"close codes", Wire, "close code 1006, not for the wire"},
	{"reason", Wire, "reason that is not UTF-8"},
	{"answering close", Wire, "close"},
	{"code of the answer", Wire, "close code 3000"},
	{"silence after close", Wire, "close"},
	{"leaves TCP open", Wire, "close"},
	{"leaves TCP open", Wire, "unmasked text"},
	{"pongs", Wire, "ping"},
	{"pongs once", Wire, "three pings, in order"},
	{"payload of pongs", Wire, "ping among fragments"},
	{"pongs that are not masked", Wire, "ping"},
	{"reading", Wire, "text"},
	{"reading", Handshake, "proper request"},
	{"method", Handshake, "POST"},
	{"HTTP version", Handshake, "HTTP/1.0"},
	{"Upgrade", Handshake, "no Upgrade"},
	{"Connection", Handshake, "Connection without Upgrade"},
	{"key", Handshake, "no key"},
	{"key", Handshake, "key of 15 bytes"},
	{"Host", Handshake, "no Host"},
	{"version", Handshake, "version 8"},
	{"version field", Handshake, "version 99"},
	{"Sec-WebSocket-Accept", Handshake, "proper request"},
	{"sub-protocol", Handshake, "two sub-protocols"},
	{"extension", Handshake, "unknown extension"},
}

// Each rule's case passes on a server that keeps it, and fails on one that is the
// same but for that. All are played at the same time, since what hangs only waits.
func TestCasesFail(t *testing.T) {
	t.Parallel()
	right := wrongServer{}.start(t)
	var all sync.WaitGroup
	for _, tt := range faults {
		c := caseNamed(t, tt.group, tt.name)
		wrong := wrongServer{tt.fault}.start(t)
		wrong.Patience = 10 * time.Second // it may hang
		all.Go(func() {
			playOne(t, "right", right, c, Kept)
			playOne(t, "wrong: "+tt.fault, wrong, c, Broken)
		})
	}
	all.Wait()
}

func playOne(t *testing.T, server string, target raw.Target, c Case, want Verdict) {
	results, err := (&Player{Target: target}).Play(t.Context(), []Case{c})
	for err != nil && target.Patience < patience { // a busy machine may not let it in within that
		target.Patience = patience
		results, err = (&Player{Target: target}).Play(t.Context(), []Case{c})
	}
	if err != nil || results[0].Verdict != want {
		t.Errorf("a server that does it %s: %+v, %v, want %s", server, results[0], err, want)
	}
}

func caseNamed(t *testing.T, group, name string) Case {
	t.Helper()
	for _, c := range Cases(group) {
		if c.Name == name {
			c.Everywhere = false // the fault shows at once
			return c
		}
	}
	t.Fatalf("there is no case %q", name)
	return Case{}
}

func TestServerThatLetsNobodyIn(t *testing.T) {
	t.Parallel()
	player := &Player{Target: wrongServer{"closes every connection"}.start(t)}
	if _, err := player.Play(t.Context(), Cases(Wire)[:1]); err == nil || !strings.Contains(err.Error(), "unmasked text") {
		t.Errorf("got %v", err)
	}
}

func TestWhatHangsEnds(t *testing.T) {
	t.Parallel()
	player := &Player{Target: wrongServer{"reading"}.start(t)}
	longest := player.Target.Patience
	var began time.Time
	var results []Result
	var err error
	for try := 300 * time.Millisecond; try < 2*longest; try *= 2 { // a busy machine may not let everybody in within that
		player.Target.Patience = try
		began = time.Now()
		if results, err = player.Play(t.Context(), Cases(Wire)[:2*atOnce]); err == nil {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if r.Verdict == Kept || r.Ways != 1 {
			t.Errorf("%+v", r)
		}
	}
	if took, limit := time.Since(began), 100*player.Target.Patience; took > limit {
		t.Errorf("it took %s", took)
	}
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	must, advised := Case{Want: protocolError}, Case{Want: protocolError, Advice: true}
	asked := Case{Want: ponged("a", "b")}
	request := Case{Group: Handshake, Want: version}
	tests := []struct {
		name string
		c    Case
		s    seen
		want Verdict
	}{
		{"as it should be", must, seen{code: 1002, end: closed}, Kept},
		{"without a close frame", must, seen{end: closed}, Advice},
		{"reset after the close frame", must, seen{code: 1002, end: reset}, Advice},
		{"another code", must, seen{code: 1011, end: closed}, Broken},
		{"TCP stays open", must, seen{code: 1002, end: waits}, Broken},
		{"serves on", must, seen{end: serves}, Broken},
		{"serves on, where only recommended", advised, seen{end: serves}, Advice},
		{"broken frame, where only recommended", advised, seen{code: 1002, end: closed, bad: "x"}, Broken},
		{"pongs in order", asked, seen{pongs: []string{"a", "b"}, end: serves}, Kept},
		{"pongs out of order", asked, seen{pongs: []string{"b", "a"}, end: serves}, Broken},
		{"one pong", asked, seen{pongs: []string{"b"}, end: serves}, Broken},
		{"pongs, and then the end", asked, seen{pongs: []string{"a", "b"}, end: closed}, Broken},
		{"426 with versions", request, seen{status: 426, head: "http/1.1 426 x\r\nsec-websocket-version:8, 13\r\n\r\n"}, Kept},
		{"426 with other versions", request, seen{status: 426, head: "http/1.1 426 x\r\nsec-websocket-version: 8\r\n\r\n"}, Broken},
		{"426 without", request, seen{status: 426, head: "http/1.1 426 13\r\n\r\n"}, Broken},
		{"101", request, seen{status: 101, end: serves}, Broken},
		{"no answer, but not closed", Case{Want: badHTTP}, seen{end: waits}, Broken},
		{"no answer, closed", Case{Want: badHTTP}, seen{end: closed}, Kept},
		{"101, and no pong", Case{Want: accepted}, seen{status: 101, end: closed}, Broken},
	}
	for _, tt := range tests {
		if got := judge(tt.c, tt.s); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// Names are what results are found by, and every way is the same bytes.
func TestCasesAreComplete(t *testing.T) {
	t.Parallel()
	for _, group := range []string{Wire, Handshake} {
		seen := map[string]bool{}
		for _, c := range Cases(group) {
			if seen[c.Name] || c.Name == "" || c.Section == "" || c.Group != group || len(c.Send) == 0 || c.Want.String() == "" || sent(c) == "" {
				t.Errorf("%+v", c)
			}
			seen[c.Name] = true
			whole := strings.Join(c.Send, "")
			for _, w := range ways(c, c.Send) {
				if strings.Join(w.pieces, "") != whole {
					t.Errorf("%s, %s: other bytes", c.Name, w.name)
				}
				if group == Wire && len(w.pieces) > mostFramePieces {
					t.Errorf("%s, %s: %d pieces", c.Name, w.name, len(w.pieces))
				}
			}
		}
	}
}
