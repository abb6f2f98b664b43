package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"roost/cmd/roost/internal/handover"
)

// steps writes down what is called, and fails at one of the steps.
type steps struct {
	mu   sync.Mutex
	done []string // guarded by mu
	fail string   // static
}

var errStep = errors.New("this step fails")

func (s *steps) do(step string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = append(s.done, step)
	if step == s.fail {
		return errStep
	}
	return nil
}

func (s *steps) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.done)
}

// fakeExporter is every part of an old process.
type fakeExporter struct {
	steps *steps
	name  string
}

func (g fakeExporter) export(to send) error {
	if err := g.steps.do(g.name + " export"); err != nil {
		return err
	}
	return to([]byte(g.name), nil)
}

func (g fakeExporter) Prepare(context.Context) error        { return g.steps.do(g.name + " prepare") }
func (g fakeExporter) Freeze(context.Context) error         { return g.steps.do(g.name + " freeze") }
func (g fakeExporter) HoldBroadcasts(context.Context) error { return g.steps.do(g.name + " hold") }
func (g fakeExporter) LetBroadcasts()                       { _ = g.steps.do(g.name + " undo") }
func (g fakeExporter) Unfreeze()                            { _ = g.steps.do(g.name + " undo") }
func (g fakeExporter) Export(to send) error                 { return g.export(to) }
func (g fakeExporter) Commit()                              { _ = g.steps.do(g.name + " commit") }

type fakeConnExporter struct{ fakeExporter }

func (g fakeConnExporter) PreCopy(_ context.Context, to send) error {
	return errors.Join(g.steps.do("conns precopy"), to([]byte("descriptors"), nil))
}

func (g fakeConnExporter) Freeze(_ context.Context, to send) error {
	return errors.Join(g.steps.do("conns freeze"), to([]byte("differences"), nil))
}

func (g fakeConnExporter) Abort()  { _ = g.steps.do("conns undo") }
func (g fakeConnExporter) Commit() { _ = g.steps.do("conns commit") }

// fakeImporter is a part of a new process.
type fakeImporter struct {
	steps *steps
	name  string
}

func (t fakeImporter) Import(section []byte, _ []int) error {
	return t.steps.do(t.name + " import " + string(section))
}
func (t fakeImporter) FinishImport() error { return t.steps.do(t.name + " finish") }
func (t fakeImporter) DiscardImport()      { _ = t.steps.do(t.name + " discard") }

// between runs a handover between an old process that fails at one step, and a new one that does.
func between(t *testing.T, oldFails, newFails string) (old, fresh []string, oldErr, newErr error) {
	t.Helper()
	side, inherited, err := handover.NewOld()
	if err != nil {
		t.Fatal(err)
	}
	defer side.Fail(errors.New("the test is over"))
	is, will := &steps{fail: oldFails}, &steps{fail: newFails}
	done := make(chan error, 1)
	go func() {
		from, _, err := handover.Greet(inherited, handover.Hello{})
		if err == nil {
			parts := importers{}
			for _, name := range []string{sectionFeed, sectionHub, sectionPresence, sectionConns} {
				parts[name] = fakeImporter{will, name}
			}
			err = parts.takeOver(from)
		}
		done <- err
	}()
	if _, err := side.Await(); err != nil {
		t.Fatal(err)
	}
	if err := side.Offer(handover.Offer{Format: handover.Format}); err != nil {
		t.Fatal(err)
	}
	h := handing{old: side, parts: exporters{
		feed: fakeExporter{is, "feed"}, hub: fakeExporter{is, "hub"}, presence: fakeExporter{is, "presence"}, conns: fakeConnExporter{fakeExporter{is, "conns"}},
	}}
	_, oldErr = h.run(t.Context(), 3_000_000) // which may stand still for a minute: nothing here is about how long it takes
	if oldErr != nil {
		side.Fail(oldErr)
	}
	newErr = <-done
	return is.all(), will.all(), oldErr, newErr
}

var (
	oldSteps = []string{
		"presence freeze", "feed prepare", "conns precopy", "hub hold", "feed freeze", "conns freeze",
		"feed export", "hub export", "presence export", "conns export",
	}
	newSteps = []string{
		"conns import descriptors", "conns import differences", "feed import feed", "feed finish", "hub import hub", "hub finish",
		"presence import presence", "presence finish", "conns import conns", "conns finish",
	}
)

// Each part is asked in the order that the others need, and let go of after commit.
func TestHandoverOrder(t *testing.T) {
	t.Parallel()
	old, fresh, oldErr, newErr := between(t, "", "")
	if oldErr != nil || newErr != nil {
		t.Fatalf("the old process says %v, the new one %v", oldErr, newErr)
	}
	if want := slices.Concat(oldSteps, []string{"conns commit", "feed commit", "hub commit", "presence commit"}); !slices.Equal(old, want) {
		t.Errorf("the old process does %q", old)
	}
	if !slices.Equal(fresh, newSteps) {
		t.Errorf("the new process does %q", fresh)
	}
}

// Whichever step fails, on either side, the old process undoes what it has done, the last first, and the new one discards everything.
func TestHandoverFailsAtEveryStep(t *testing.T) {
	t.Parallel()
	undo := map[string]int{"presence freeze": 1, "feed prepare": 2, "conns precopy": 3} // how much there is to undo after this step; 4 after others
	check := func(t *testing.T, old, fresh []string, oldErr, newErr error) {
		t.Helper()
		if oldErr == nil || newErr == nil {
			t.Fatalf("the old process says %v, the new one %v", oldErr, newErr)
		}
		var undone []string
		last := ""
		for _, step := range old {
			switch {
			case strings.HasSuffix(step, " undo"):
				undone = append(undone, step)
			case strings.HasSuffix(step, " commit"):
				t.Errorf("%s although nothing is committed", step)
			case len(undone) > 0:
				t.Errorf("%s after %q", step, undone)
			default:
				last = step
			}
		}
		want := []string{"hub undo", "conns undo", "feed undo", "presence undo"}
		if n, early := undo[last]; early {
			want = want[4-n:]
		}
		if !slices.Equal(undone, want) {
			t.Errorf("after %s the old process undoes %q, want %q", last, undone, want)
		}
		for _, name := range []string{"feed", "hub", "presence", "conns"} {
			if !slices.Contains(fresh, name+" discard") {
				t.Errorf("the new process does not discard %s: %q", name, fresh)
			}
		}
	}
	for _, step := range oldSteps {
		t.Run("old: "+step, func(t *testing.T) {
			t.Parallel()
			old, fresh, oldErr, newErr := between(t, step, "")
			check(t, old, fresh, oldErr, newErr)
			if !errors.Is(oldErr, errStep) {
				t.Errorf("it says %v", oldErr)
			}
		})
	}
	for _, step := range newSteps {
		t.Run("new: "+step, func(t *testing.T) {
			t.Parallel()
			old, fresh, oldErr, newErr := between(t, "", step)
			check(t, old, fresh, oldErr, newErr)
			if !errors.Is(oldErr, handover.ErrRefused) || !strings.Contains(oldErr.Error(), errStep.Error()) {
				t.Errorf("the old process says %v", oldErr)
			}
		})
	}
}

// A new process takes nothing that it does not know, and nothing that is not complete.
func TestTakersRefuse(t *testing.T) {
	t.Parallel()
	for want, sections := range map[string][][2]string{
		`hands over "cookies", which is unknown here`: {{"cookies", ""}},
		`says that "feed" is complete`:                {{sectionDone, sectionFeed}, {sectionDone, sectionFeed}},
		`says that "other" is complete`:               {{sectionDone, "other"}},
		"hands over no hub":                           {{sectionDone, sectionFeed}},
	} {
		side, inherited, err := handover.NewOld()
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() {
			from, _, err := handover.Greet(inherited, handover.Hello{})
			if err == nil {
				none := &steps{}
				err = importers{sectionFeed: fakeImporter{none, sectionFeed}, sectionHub: fakeImporter{none, sectionHub}}.takeOver(from)
			}
			done <- err
		}()
		_, err = side.Await()
		if err == nil {
			err = side.Offer(handover.Offer{})
		}
		for _, s := range sections {
			if err == nil {
				err = side.Section(s[0], []byte(s[1]), nil)
			}
		}
		if err == nil {
			err = side.Finish()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the old process says %v, want %q", err, want)
		}
		if err := <-done; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the new process says %v, want %q", err, want)
		}
		side.Fail(fmt.Errorf("over"))
	}
}
