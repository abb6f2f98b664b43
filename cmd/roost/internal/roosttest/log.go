package roosttest

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"sync"
)

// Line is one line of a process's log.
type Line map[string]any

// Message is the line's text, empty for a line that is not JSON.
func (l Line) Message() string { return l.Text("msg") }

// Text returns a field that is a string; "" if there is no such field.
func (l Line) Text(field string) string {
	s, _ := l[field].(string)
	return s
}

// Log keeps what a process prints. Any goroutine may use it.
type Log struct {
	reading sync.Mutex // held while nobody reads, see Hold

	mu     sync.Mutex // guards the rest
	broken bool
	keep   func(Line) bool // nil: all
	raw    bytes.Buffer
	rest   []byte // the beginning of a line that is not complete
	lines  []Line
}

// errBroken makes exec close its end of the pipe.
var errBroken = errors.New("nobody reads this any more")

// Hold stops reading, as a log reader that hangs does, until release is called: before the end of the test, which
// waits for the process's last words.
func (l *Log) Hold() (release func()) {
	l.reading.Lock()
	return sync.OnceFunc(l.reading.Unlock)
}

// Break closes the pipe at the next line, as a log reader that died has done.
func (l *Log) Break() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken = true
}

// Keep keeps only some of the lines from now on, for a process that runs so long, or says so much, that all would be
// too many.
func (l *Log) Keep(wanted func(Line) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keep = wanted
}

// Write implements io.Writer for the process's output.
func (l *Log) Write(b []byte) (int, error) {
	l.reading.Lock()
	defer l.reading.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken {
		return 0, errBroken
	}
	if l.keep == nil {
		l.raw.Write(b)
	}
	l.rest = append(l.rest, b...)
	for {
		line, rest, complete := bytes.Cut(l.rest, []byte("\n"))
		if !complete {
			return len(b), nil
		}
		l.rest = rest
		l.line(line)
	}
}

// line takes a complete line, without its end. A line that is not JSON is always kept as text.
func (l *Log) line(text []byte) {
	var parsed Line
	isJSON := json.Unmarshal(text, &parsed) == nil
	if l.keep != nil {
		if isJSON && !l.keep(parsed) {
			return
		}
		l.raw.Write(text)
		l.raw.WriteByte('\n')
	}
	if isJSON {
		l.lines = append(l.lines, parsed)
	}
}

// String is all that was printed and kept.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.raw.String()
}

// Lines are the JSON lines so far.
func (l *Log) Lines() []Line {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Line(nil), l.lines...)
}

// Find returns the lines with a message and, where given, with these fields: name, value, name, value…
func (l *Log) Find(message string, fields ...any) []Line {
	var found []Line
	for _, line := range l.Lines() {
		if line.Message() == message && line.has(fields) {
			found = append(found, line)
		}
	}
	return found
}

func (l Line) has(fields []any) bool {
	for i := 0; i+1 < len(fields); i += 2 {
		if l[fields[i].(string)] != fields[i+1] {
			return false
		}
	}
	return true
}

// Messages are the texts of the lines, in order.
func (l *Log) Messages() []string {
	var all []string
	for _, line := range l.Lines() {
		all = append(all, line.Message())
	}
	return all
}

// tail is the end of what was printed.
func (l *Log) tail() string {
	const kept = 8 << 10
	s := l.String()
	if len(s) <= kept {
		return s
	}
	_, s, _ = strings.Cut(s[len(s)-kept:], "\n")
	return "…\n" + s
}
