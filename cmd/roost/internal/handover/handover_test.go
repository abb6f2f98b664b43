//go:build linux

package handover

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// limit is how long anything may take on a busy machine.
const limit = time.Minute

// processes are both sides of a handover that the new one has agreed to.
func processes(t *testing.T) (*Old, *New) {
	t.Helper()
	old, inherited, err := NewOld()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { old.Fail(errors.New("the test is over")) })
	type greeted struct {
		side *New
		err  error
	}
	done := make(chan greeted, 1)
	go func() {
		side, _, err := Greet(inherited, Hello{Mode: "handover", Sockets: 10})
		if err == nil {
			err = side.Accept()
		}
		done <- greeted{side, err}
	}()
	hello, err := old.Await()
	if err == nil {
		err = errors.Join(hello.Check(Need{Sockets: 10}), old.Offer(Offer{Format: Format, Sockets: 10}))
	}
	result := <-done
	if err = errors.Join(err, result.err); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(result.side.Close)
	return old, result.side
}

// pipes returns the reading ends of n pipes, and the files to write to them.
func pipes(t *testing.T, n int) (reading []int, writing []*os.File) {
	t.Helper()
	for range n {
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _, _ = r.Close(), w.Close() })
		reading, writing = append(reading, int(r.Fd())), append(writing, w)
	}
	return reading, writing
}

// Sections arrive in order, with their descriptors, before and after commit.
func TestHandover(t *testing.T) {
	t.Parallel()
	old, fresh := processes(t)
	const messages, each = 3 * window, 20
	reading, writing := pipes(t, messages*each)
	sent := make(chan error, 1)
	go func() {
		for i := range messages {
			if err := old.Section("part", fmt.Append(nil, i), reading[i*each:(i+1)*each]); err != nil {
				sent <- err
				return
			}
		}
		err := old.Section("big", make([]byte, MaxSection), nil)
		if err == nil {
			err = errors.Join(old.Finish(), old.Commit(), old.Section("late", []byte("x"), reading[:1]))
		}
		old.End()
		sent <- err
	}()
	var got []string
	var files []int
	take := func(kind string, body []byte, fds []int) error {
		if kind != "big" {
			got = append(got, kind+" "+string(body))
		}
		files = append(files, fds...)
		return nil
	}
	if err := fresh.Receive(take); err != nil {
		t.Fatal(err)
	}
	if err := fresh.Ready(); err != nil {
		t.Fatal(err)
	}
	if err := fresh.Late(take); err != nil {
		t.Error(err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	defer CloseFiles(files)
	if len(got) != messages+1 || got[0] != "part 0" || got[messages-1] != fmt.Sprint("part ", messages-1) || got[messages] != "late x" {
		t.Errorf("got %q", got)
	}
	if len(files) != messages*each+1 {
		t.Fatalf("%d descriptors have come", len(files))
	}
	for i, w := range writing {
		if _, err := fmt.Fprintf(w, "%4d", i); err != nil {
			t.Fatal(err)
		}
		var text [4]byte
		if _, err := unix.Read(files[i], text[:]); err != nil || string(text[:]) != fmt.Sprintf("%4d", i) {
			t.Errorf("descriptor %d is of %q: %v", i, text, err)
		}
	}
}

// When one side fails before commit, the other learns that there is no handover, and why.
func TestGivingUp(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fresh func(*New) error // nil: it hangs
		old   func(*Old) error
		want  string // of the old process's error
	}{
		"the new one closes among the sections": {
			fresh: func(n *New) error { n.Close(); return nil },
			old: func(o *Old) (err error) {
				for err == nil {
					err = o.Section("part", make([]byte, 1000), nil)
				}
				return err
			},
			want: "has given up, or has ended",
		},
		"the new one refuses among the sections": {
			fresh: func(n *New) error { n.Refuse(refused("no room")); return nil },
			old: func(o *Old) (err error) {
				for err == nil {
					err = o.Section("part", make([]byte, 1000), nil)
				}
				return err
			},
			want: "the handover is refused: no room",
		},
		"the new one refuses at the end": {
			fresh: func(n *New) error {
				err := n.Receive(func(string, []byte, []int) error { return nil })
				n.Refuse(errors.New("wrong"))
				return err
			},
			old:  (*Old).Finish,
			want: "the handover is refused: wrong",
		},
		"the new one hangs": {
			old:  func(o *Old) error { o.patience = 10 * time.Millisecond; return o.Finish() },
			want: errSilent.Error(),
		},
		"there is no time left": {
			old:  func(o *Old) error { o.Limit(time.Now().Add(10 * time.Millisecond)); return o.Finish() },
			want: "the handover takes too long",
		},
		"the new one ended": {
			old:  func(o *Old) error { o.Fail(errors.New("exit status 3")); return o.Commit() },
			want: "exit status 3",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			old, fresh := processes(t)
			done := make(chan error, 1)
			go func() {
				if test.fresh == nil {
					done <- nil
					return
				}
				done <- test.fresh(fresh)
			}()
			if err := test.old(old); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("the old process says %v, want %q", err, test.want)
			}
			old.Fail(errors.New("over"))
			if err := <-done; err != nil {
				t.Error(err)
			}
			if err := fresh.Ready(); err == nil {
				t.Error("the new process believes that it has taken over")
			}
		})
	}
}

// A new process that refuses and ends is known by its words, whoever reads them: the goroutine that waits for its answer, or the one that
// sees it end.
func TestRefusalAtTheEnd(t *testing.T) {
	t.Parallel()
	for range 500 {
		old, fresh := processes(t)
		old.words = limit // on a machine that stands still it may pass although they are there
		waited := make(chan error, 1)
		go func() { waited <- old.Finish() }()
		fresh.Refuse(refused("as asked"))
		fresh.Close()
		for name, err := range map[string]error{"the one that sees it end": old.Ended(errors.New("exit status 5")), "the one that waits": <-waited} {
			if err == nil || !strings.Contains(err.Error(), "as asked") {
				t.Fatalf("%s says %v, want the refusal", name, err)
			}
		}
	}
}

// The old process takes everything back at any point: the new one learns it.
func TestTakingBack(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]func(*Old) error{
		"at once":          func(*Old) error { return nil },
		"after a section":  func(o *Old) error { return o.Section("part", nil, nil) },
		"before commit":    (*Old).Finish,
		"after an overrun": func(o *Old) error { return o.Section("part", make([]byte, MaxSection+1), nil) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			old, fresh := processes(t)
			done := make(chan error, 1)
			go func() {
				err := fresh.Receive(func(string, []byte, []int) error { return nil })
				if err == nil {
					err = fresh.Ready()
				}
				done <- err
			}()
			if err := before(old); (err != nil) != (name == "after an overrun") {
				t.Error(err)
			}
			old.Fail(errors.New("over"))
			if err := <-done; err == nil || !strings.Contains(err.Error(), "takes everything back") {
				t.Errorf("the new process says %v", err)
			}
		})
	}
}

// However the end of the new process's patience and commit meet, both processes agree on who serves.
func TestCommitIsNeverInDoubt(t *testing.T) {
	t.Parallel()
	var committed, gaveUp int
	for round := range 300 {
		old, fresh := processes(t)
		done := make(chan error, 1)
		go func() {
			err := fresh.Receive(func(string, []byte, []int) error { return nil })
			fresh.patience = time.Duration(round%30) * 20 * time.Microsecond
			if err == nil {
				err = fresh.Ready()
			}
			fresh.Close()
			done <- err
		}()
		sent := old.Finish() // may fail: ready was not sent in time
		if sent == nil {
			end := time.Now().Add(time.Duration(round/30) * 20 * time.Microsecond)
			for time.Now().Before(end) {
			}
			sent = old.Commit()
		}
		got := <-done
		if (sent == nil) != (got == nil) {
			t.Fatalf("round %d: the old process has %v, the new one %v", round, sent, got)
		}
		if got == nil {
			committed++
		} else {
			gaveUp++
		}
		old.Fail(errors.New("over"))
	}
	t.Logf("%d committed, %d gave up", committed, gaveUp)
}

// A new process is not kept waiting for ever by an old one that stands still.
func TestOldProcessStandsStill(t *testing.T) {
	t.Parallel()
	_, fresh := processes(t)
	fresh.patience = 10 * time.Millisecond
	if err := fresh.Receive(nil); !errors.Is(err, errSilent) {
		t.Errorf("it says %v", err)
	}
}

// A program without handovers says nothing: the wait ends when it is told to.
func TestAwaitEnds(t *testing.T) {
	t.Parallel()
	old, inherited, err := NewOld()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = inherited.Close() }()
	done := make(chan error, 1)
	go func() { _, err := old.Await(); done <- err }()
	why := errors.New("it serves without one")
	old.Fail(why)
	if err := <-done; !errors.Is(err, why) {
		t.Errorf("it says %v", err)
	}
}

// The answers to a greeting.
func TestAnswers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer func(*Old) error
		is     error
		says   string
	}{
		"drain":   {func(o *Old) error { return o.Drain("REDIS_USE_TLS=true") }, ErrDrain, "REDIS_USE_TLS=true"},
		"refusal": {func(o *Old) error { o.Refuse(refused("another Redis")); return nil }, ErrRefused, "the handover is refused: another Redis"},
		"nothing": {func(o *Old) error { o.Fail(io.EOF); return nil }, nil, "has ended"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			old, inherited, err := NewOld()
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() { _, _, err := Greet(inherited, Hello{}); done <- err }()
			if _, err := old.Await(); err != nil {
				t.Fatal(err)
			}
			if err := test.answer(old); err != nil {
				t.Error(err)
			}
			if err := <-done; err == nil || !strings.Contains(err.Error(), test.says) || (test.is != nil && !errors.Is(err, test.is)) {
				t.Errorf("the new process says %v", err)
			}
			old.Fail(io.EOF)
		})
	}
}

// Every reason for a refusal is named, with both values where they may be shown.
func TestCheck(t *testing.T) {
	t.Parallel()
	must := []Fact{{Name: "REDIS_FEED", Value: "pattern"}, {Name: "REDIS_URL", Value: "1", Secret: true}}
	good := Hello{Formats: []int{Format}, Must: must, Sockets: 100, Memory: 1000}
	need := Need{Must: must, Sockets: 100, Bytes: 1000}
	if err := good.Check(need); err != nil {
		t.Fatal(err)
	}
	unlimited := good
	unlimited.Memory = 0
	if err := unlimited.Check(need); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(*Hello){
		"hands over in format 1, the new one (v9) reads 7 8": func(h *Hello) { h.Formats, h.Release = []int{7, 8}, "v9" },
		"reads none": func(h *Hello) { h.Formats = nil },
		`REDIS_FEED is "user" in the new process and "pattern" in the running one`: func(h *Hello) { h.Must = []Fact{{Name: "REDIS_FEED", Value: "user"}, must[1]} },
		"REDIS_URL is another one in the new process":                              func(h *Hello) { h.Must = []Fact{must[0], {Name: "REDIS_URL", Value: "2", Secret: true}} },
		"the new process does not say what its REDIS_URL is":                       func(h *Hello) { h.Must = must[:1] },
		"descriptors for 99 client sockets":                                        func(h *Hello) { h.Sockets = 99 },
		"leaves the new process 999 bytes":                                         func(h *Hello) { h.Memory = 999 },
	} {
		hello := good
		change(&hello)
		if err := hello.Check(need); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), want) {
			t.Errorf("it says %v, want %q", err, want)
		}
	}
}

// FuzzReceive feeds bytes, and descriptors beside them, to a reader: it fails in words, reads no further than it may, and keeps no
// descriptor.
func FuzzReceive(f *testing.F) {
	f.Add([]byte("part\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00hi"), 0)
	f.Add([]byte("ack\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00"), 1)
	f.Add([]byte("part\x00\x00\x00\x00\xff\xff\xff\xff\x00\x00\x00\x00"), 0)
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), 2)
	f.Fuzz(func(t *testing.T, text []byte, files int) {
		if len(text) == 0 || files < 0 || files > MaxFiles {
			return
		}
		ends, err := pair()
		if err != nil {
			t.Fatal(err)
		}
		reader, err := open(ends[0])
		if err != nil {
			t.Fatal(err)
		}
		defer reader.close()
		writer, err := open(ends[1])
		if err != nil {
			t.Fatal(err)
		}
		var rights []byte
		if files > 0 {
			fds := make([]int, files)
			for i := range fds {
				fds[i] = int(os.Stdin.Fd())
			}
			rights = unix.UnixRights(fds...)
		}
		if len(text) > 64<<10 {
			text = text[:64<<10] // as much as the kernel takes at once
		}
		if _, _, err := writer.unix.WriteMsgUnix(text, rights, nil); err != nil {
			t.Fatal(err)
		}
		writer.close()
		m, err := reader.receive(time.Now().Add(limit))
		if err != nil {
			if len(m.files) > 0 || m.body != nil {
				t.Errorf("with %v it returns %d descriptors and %d bytes", err, len(m.files), len(m.body))
			}
			return
		}
		if len(m.files) != files || len(m.body) > len(text)-headerSize {
			t.Errorf("%d descriptors, want %d; %d bytes of %d", len(m.files), files, len(m.body), len(text))
		}
		m.closeFiles()
	})
}
