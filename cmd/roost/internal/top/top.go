package top

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/term"

	"roost/internal/pause"
)

// How often the server is asked. It gathers its numbers once a second at most.
const (
	leastEvery = time.Second
	mostEvery  = time.Minute
)

// CheckEvery says what is wrong with an interval.
func CheckEvery(every time.Duration) error {
	if every < leastEvery || every > mostEvery {
		return fmt.Errorf("%s: want %s to %s", every, leastEvery, mostEvery)
	}
	return nil
}

// Screen reports whether a file is a terminal that a view can be drawn on. environ is the process's environment.
func Screen(out io.Writer, environ []string) (*os.File, bool) {
	file, ok := out.(*os.File)
	return file, ok && term.IsTerminal(file.Fd()) && variable(environ, "TERM") != "dumb"
}

// Run shows the view on a terminal until the user leaves it, or until ctx ends. The first answer has to come: a server that can't
// be asked is an error, and no empty screen.
func Run(ctx context.Context, in io.Reader, out *os.File, environ []string, ask Ask, every time.Duration) error {
	m := &model{ctx: ctx, ask: ask, every: every, look: look{width: 80, height: 24, ascii: !utf8Terminal(environ)}}
	first, err := ask(ctx, 0)
	if err != nil {
		return err
	}
	m.state.answer(first, time.Now())
	_, err = tea.NewProgram(m, tea.WithContext(ctx), tea.WithInput(in), tea.WithOutput(out), tea.WithEnvironment(environ), tea.WithoutSignalHandler()).Run()
	if errors.Is(err, tea.ErrProgramKilled) && ctx.Err() != nil {
		return nil // asked to end
	}
	return err
}

// Print writes one screen as plain text, for pipes and files. Rates need two answers, a moment apart.
func Print(ctx context.Context, out io.Writer, ask Ask) error {
	var s state
	for i := range 2 {
		if i > 0 && !pause.For(ctx, leastEvery) {
			return ctx.Err()
		}
		o, err := ask(ctx, s.since())
		if err != nil {
			return err
		}
		s.answer(o, time.Now())
	}
	lines := look{width: 80, plain: true}.screen(&s, "")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	_, err := io.WriteString(out, strings.Join(lines, "\n")+"\n")
	return err
}

// utf8Terminal reports whether the locale says that the terminal shows more than ASCII. Without a locale it is taken to: nearly all
// do.
func utf8Terminal(environ []string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if value := strings.ToUpper(variable(environ, name)); value != "" {
			return strings.Contains(value, "UTF-8") || strings.Contains(value, "UTF8")
		}
	}
	return true
}

// variable is the last value of a variable, as the C library takes it.
func variable(environ []string, name string) (value string) {
	for _, one := range environ {
		if n, v, _ := strings.Cut(one, "="); n == name {
			value = v
		}
	}
	return value
}
