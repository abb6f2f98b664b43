package hub

import (
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"roost/internal/position"
	"roost/internal/wirecodec"
)

// record has TestKeptState write the files of testdata again, which is for a new version of the state only, in files of their own.
var record = flag.Bool("record", false, "write the kept states of this version")

func keptFile(name string) string { return filepath.Join("testdata", "handover", "1-"+name) }

// keptNow is when the states were recorded.
var keptNow = time.Date(2026, 11, 29, 14, 0, 0, 0, time.UTC)

// keptConfig is of a hub whose state is kept, or that reads it.
func keptConfig(m *memories, resumes bool) Config {
	cfg := Config{Logger: quiet(), GapNotice: true, Now: func() time.Time { return keptNow }}
	if resumes {
		cfg.Resume = m.resume(MinResumeMemory)
	}
	return cfg
}

// Every release reads what the one before has written down: these were recorded when version 1 was new.
func TestKeptState(t *testing.T) {
	t.Parallel()
	if *record {
		recordState(t, "plain", false)
		recordState(t, "resume", true)
	}
	for name, resumes := range map[string]bool{"plain": false, "resume": true} {
		state, err := os.ReadFile(keptFile(name))
		if err != nil {
			t.Fatal(err)
		}
		var m memories
		var descriptors []int
		h := New(keptConfig(&m, resumes))
		if resumes {
			m = append(m, unzipped(t, keptFile("memory.gz")))
			descriptors = []int{len(m)}
		}
		if err := h.Import(state, descriptors); err != nil {
			t.Fatal(err)
		}
		if err := h.FinishImport(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		c := mustAdmit(t, h, "alice", "g")
		if n := h.BroadcastsWaiting(); n != maxBroadcasts+1 {
			t.Errorf("%s: %d wait", name, n)
		}
		if !resumes {
			broadcasting(t, h)
			waitUntil(t, "the broadcasts", done(h))
			if c.count() != maxBroadcasts { // one is for no connection
				t.Errorf("%d were delivered", c.count())
			}
			continue
		}
		since := position.Position{Marker: position.MarkerOf("begin")}.String()
		_, _, w, err := h.Arrive(&client{}, Arrival{User: "alice", Since: since})
		if err != nil || w.Result != ResumeDone || len(w.Missed) != 2 || receive(t, w.Missed[0]).Payload != 7 || receive(t, w.Missed[1]).Payload != 2000 {
			t.Errorf("missed %+v, %v", w, err)
		}
	}
}

// recordState writes the state of a hub with a full queue for a group, a loss, and a notification for a user who is away.
func recordState(t *testing.T, name string, resumes bool) {
	var m memories
	h := New(keptConfig(&m, resumes))
	h.Marker("begin", false)
	mustAdmit(t, h, "bob", "g")
	h.Deliver("alice", numbered(7))
	h.broadcasts.hold()
	for i := range maxBroadcasts + 3 {
		h.DeliverGroup("g", numbered(i))
	}
	h.DeliverGroup("g", `{"type":"n","payload":1000,"only":[],"ttl":60,"collapse":"c"}`)
	h.Broadcast(numbered(2000))
	var state []byte
	if err := h.Export(func(section []byte, _ []int) error { state = append(state, section...); return nil }); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(keptFile(name), state, 0o644); err != nil {
		t.Fatal(err)
	}
	if !resumes {
		return
	}
	var small bytes.Buffer
	w := gzip.NewWriter(&small)
	_, err := w.Write(m[0])
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(keptFile("memory.gz"), small.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Options say in the next process what they said.
func TestOptionsGoOver(t *testing.T) {
	t.Parallel()
	for _, o := range []*options{
		nil, {}, {only: []connID{}}, {except: []connID{7, 1 << 63}}, {only: []connID{1}, hasTTL: true, collapse: 1 << 63},
		{hasTTL: true, ttl: time.Minute},
	} {
		r := wirecodec.NewReader(o.append(nil))
		if got := readOptions(r); r.Done() != nil || !reflect.DeepEqual(got, o) {
			t.Errorf("%+v, want %+v, %v", got, o, r.Err())
		}
	}
}

func unzipped(t *testing.T, file string) []byte {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return all
}
