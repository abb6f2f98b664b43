package commands

import (
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"golang.org/x/sys/unix"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

// screenText is what a program writes to a terminal.
type screenText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *screenText) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// read reads until the terminal is closed, and answers nothing that it is asked: not every terminal does.
func (s *screenText) read(master *os.File) {
	buffer := make([]byte, 4096)
	for {
		n, err := master.Read(buffer)
		if err != nil {
			return
		}
		s.mu.Lock()
		s.text.Write(buffer[:n])
		s.mu.Unlock()
	}
}

// runTop runs roost top on a terminal of a size.
func runTop(t *testing.T, server *roosttest.Server, columns, rows uint16, env roosttest.Env) (*roosttest.Process, *os.File, *screenText) {
	t.Helper()
	master, slave := openTerminal(t)
	if err := unix.IoctlSetWinsize(int(slave.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: columns, Row: rows}); err != nil {
		t.Fatal(err)
	}
	screen := new(screenText)
	go screen.read(master)
	if env == nil {
		env = roosttest.Env{}
	}
	if env["TERM"] == "" {
		env["TERM"] = "xterm-256color"
	}
	env["LANG"] = "C.UTF-8"
	process := roosttest.Run(t, roosttest.Command{
		Args: []string{"top", "--url", server.HTTP, "--every", "1s"}, Env: env, Files: []*os.File{slave},
		Wrap: []string{"/bin/sh", "-c", `exec setsid -c "$@" <&3 >&3 3<&-`, "sh"},
	})
	return process, master, screen
}

// TestTop watches a server on a terminal, as an operator would: numbers that come and change, a server that goes, the way out.
func TestTop(t *testing.T) {
	t.Parallel()
	_, server := e2e.Start(t, nil)
	server.Connect("alice")
	process, master, screen := runTop(t, server, 100, 40, nil)
	says := func(text string) {
		t.Helper()
		roosttest.WaitFor(t, "the terminal to show "+text, func() bool { return strings.Contains(ansi.Strip(screen.String()), text) })
	}
	says("1 of 10,000")
	says("1 user")
	says("Notifications/s")
	says("loop 0")
	says("Open files")
	says("q quit")
	if !strings.Contains(screen.String(), "\x1b[?1049h") || !strings.Contains(screen.String(), "\x1b[1;32m") && !strings.Contains(screen.String(), "\x1b[32;1m") {
		t.Errorf("no screen of its own, or no colour: %q", screen.String())
	}
	server.Stop()
	says("No answer since ")
	says("nothing listens on")
	if _, err := master.WriteString("q"); err != nil {
		t.Fatal(err)
	}
	if code := process.Wait(); code != 0 {
		t.Errorf("q ends with %d: %q", code, screen.String())
	}
	roosttest.WaitFor(t, "the screen of before", func() bool { return strings.Contains(screen.String(), "\x1b[?1049l") })
}

// A narrow terminal, no colours, and an interrupt.
func TestTopNarrowWithoutColours(t *testing.T) {
	t.Parallel()
	_, server := e2e.Start(t, nil)
	process, master, screen := runTop(t, server, 40, 20, roosttest.Env{"NO_COLOR": "1"})
	roosttest.WaitFor(t, "the limits", func() bool { return strings.Contains(ansi.Strip(screen.String()), "Busy, of its time") })
	for _, colour := range []string{"\x1b[3", "\x1b[1;3", "\x1b[9"} {
		if _, after, found := strings.Cut(screen.String(), colour); found && strings.IndexByte(after, 'm') == 1 {
			t.Errorf("a colour in %q", screen.String())
		}
	}
	if _, err := master.WriteString("\x03"); err != nil {
		t.Fatal(err)
	}
	if code := process.Wait(); code != 0 {
		t.Errorf("Ctrl-C ends with %d", code)
	}
}

// Without a terminal, or with one that can do nothing, the output is text, once.
func TestTopOnce(t *testing.T) {
	t.Parallel()
	_, server := e2e.Start(t, nil)
	server.Connect("alice")
	piped := roosttest.Run(t, roosttest.Command{Args: []string{"top", "--url", server.HTTP}})
	if code := piped.Wait(); code != 0 || !strings.Contains(piped.Log.String(), "1 of 10,000") || strings.Contains(piped.Log.String(), "\x1b") {
		t.Errorf("ended with %d, printing %q and saying %q", code, piped.Log.String(), piped.Stderr.String())
	}
	dumb, _, screen := runTop(t, server, 80, 24, roosttest.Env{"TERM": "dumb"})
	if code := dumb.Wait(); code != 0 {
		t.Errorf("on a dumb terminal it ends with %d", code)
	}
	roosttest.WaitFor(t, "the text", func() bool { return strings.Contains(screen.String(), "Limits") })
	if strings.Contains(screen.String(), "\x1b") {
		t.Errorf("a dumb terminal gets %q", screen.String())
	}
}

// A server that can't be asked is an error, and leaves the terminal as it was.
func TestTopWithoutAnswer(t *testing.T) {
	t.Parallel()
	_, server := e2e.Start(t, roosttest.Env{"HTTP_CONSOLE": "false"})
	closed := roosttest.Run(t, roosttest.Command{Args: []string{"top", "--url", "127.0.0.1:1"}})
	if code := closed.Wait(); code != 1 || !strings.Contains(closed.Stderr.String(), "nothing listens on 127.0.0.1:1") {
		t.Errorf("ended with %d, saying %q", code, closed.Stderr.String())
	}
	bare, _, screen := runTop(t, server, 80, 24, nil)
	if code := bare.Wait(); code != 1 || !strings.Contains(bare.Stderr.String(), "HTTP_CONSOLE is false there") || strings.Contains(screen.String(), "\x1b[?1049h") {
		t.Errorf("without a console: ended with %d, saying %q, drawing %q", code, bare.Stderr.String(), screen.String())
	}
}
