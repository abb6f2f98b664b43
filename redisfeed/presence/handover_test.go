package presence

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"roost/redisfeed/redistest"
)

// state is what a frozen Writer exports.
func state(t *testing.T, from *Writer) (all []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), redistest.Patience)
	defer cancel()
	if err := from.Freeze(ctx); err != nil {
		t.Fatal(err)
	}
	if err := from.Export(func(section []byte, _ []int) error { all = append(all, section...); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

// Users stay online whose connections another process takes over, and nothing is told of them. Those who left at the last
// moment, or whose connections end with the old process, are offline.
func TestPresenceHandover(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	cfg := quick(server.Addr())
	told := watchEvents(t, server)
	old := startInstance(t, cfg, time.Minute)
	old.set(1, "stays", "stranded", "left")
	for _, user := range []string{"stays", "stranded", "left"} {
		waitOnline(t, server, user, true)
	}
	told.want(event{"left", true}, event{"stays", true}, event{"stranded", true})

	// Of a handover that fails nobody notices anything.
	_ = state(t, old.Writer)
	old.Unfreeze()
	old.set(1, "late")
	waitOnline(t, server, "late", true)
	told.want(event{"late", true})

	ctx, cancel := context.WithTimeout(t.Context(), redistest.Patience)
	defer cancel()
	if err := old.Freeze(ctx); err != nil {
		t.Fatal(err)
	}
	old.set(0, "left")
	old.set(1, "came")
	var section []byte
	if err := old.Export(func(s []byte, _ []int) error { section = append(section, s...); return nil }); err != nil {
		t.Fatal(err)
	}
	users := newPeople()
	users.set(1, "stays", "late", "came")
	next := patient(t, cfg, time.Minute, users, nil)
	if err := next.Import(section, nil); err != nil {
		t.Fatal(err)
	}
	if err := next.FinishImport(); err != nil {
		t.Fatal(err)
	}
	old.Commit()
	old.end()
	done := make(chan error, 1)
	runs, stop := context.WithCancel(t.Context())
	go func() { done <- next.Run(runs) }()
	waitOnline(t, server, "came", true)
	waitOnline(t, server, "left", false)
	waitOnline(t, server, "stranded", false)
	told.want(event{"came", true}, event{"left", false}, event{"stranded", false})
	for _, user := range []string{"stays", "late", "came"} {
		if n := instancesOf(t, cfg, user)[0]; n != 1 {
			t.Errorf("%s is on %d instances", user, n)
		}
	}
	users.set(0, "stays")
	waitOnline(t, server, "stays", false)
	told.want(event{"stays", false})
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	told.want(event{"came", false}, event{"late", false})
}

// record has TestKeptState write the file of testdata again, which is for a new version of the state only, in a file of its own.
var record = flag.Bool("record", false, "write the kept state of this version")

// Every release reads what the one before has written down: this was recorded when version 1 was new.
func TestKeptState(t *testing.T) {
	t.Parallel()
	const file = "testdata/handover/1"
	server := redistest.Start(t)
	cfg := quick(server.Addr())
	if *record {
		old := startInstance(t, cfg, time.Minute)
		old.set(1, "alice", "bob")
		waitOnline(t, server, "alice", true)
		waitOnline(t, server, "bob", true)
		all := state(t, old.Writer)
		old.Unfreeze()
		if err := os.WriteFile(file, all, 0o644); err != nil {
			t.Fatal(err)
		}
		old.end()
	}
	kept, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(cfg, time.Minute, newPeople(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.pool.Close()
	if err := errors.Join(p.Import(kept, nil), p.FinishImport()); err != nil {
		t.Fatal(err)
	}
	if len(p.id) != len(rand.Text()) || len(p.imported.users) != 2 || !p.imported.users["alice"] {
		t.Errorf("%q, %v", p.id, p.imported.users)
	}
}

// A state that can't be read is refused in words.
func TestPresenceImportRefuses(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	old := startInstance(t, quick(server.Addr()), time.Minute)
	old.set(1, "alice")
	whole := state(t, old.Writer)
	old.Unfreeze()
	for says, section := range map[string][]byte{
		"version 7":             append([]byte{7}, whole[1:]...),
		"ends too early":        whole[:len(whole)-1],
		"1 elements in 0 bytes": append(slices.Clone(whole), 1),
		"more":                  append(slices.Clone(whole), 0, 0, 0, 0, 1), // behind an empty list
		"no identity":           {1, 0, 0, 0},
	} {
		p, err := New(quick(server.Addr()), time.Minute, newPeople(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Import(section, nil); err != nil {
			t.Fatal(err)
		}
		if err := p.FinishImport(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", says, err)
		}
		_ = p.pool.Close()
	}
}
