package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"roost/cmd/roost/internal/textfile"
)

// maxFile bounds a file of variables, in bytes. One with every variable has some thousand.
const maxFile = 1 << 20

// entry is one variable of a file.
type entry struct {
	value string
	line  int // the first is 1
}

// readFile reads a file of variables, once and whole. Its error names every line that is wrong, and prints no value.
func readFile(path string) (map[string]entry, error) {
	// Of a pipe nothing would be left for the next reload, and to open one can take for ever.
	if info, err := os.Stat(path); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	switch {
	case err != nil:
		return nil, err
	case len(text) > maxFile:
		return nil, fmt.Errorf("%s has more than %d bytes", path, maxFile)
	}
	entries, err := parseFile(string(textfile.Decode(text)))
	if err != nil {
		return nil, prefixed(path+": ", err)
	}
	return entries, nil
}

// lineError is what is wrong with a line of a file.
type lineError struct {
	line int
	err  error
}

func (e lineError) Error() string { return fmt.Sprintf("line %d: %v", e.line, e.err) }
func (e lineError) Unwrap() error { return e.err }

// The faults of a line. None of the texts has anything of a value: it may be a secret's.
var (
	errLineText   = errors.New("bytes that are not UTF-8, or a control character")
	errLineForm   = errors.New("want NAME=value, a comment that begins with #, or nothing")
	errLineExport = errors.New("export is for shells: want NAME=value alone")
	errLineName   = errors.New("the name before = has something else than letters, digits and _, or begins with a digit")
	errLineSpace  = errors.New("a # behind a space is a comment for some readers and none for others: put the value into single quotes, or a comment on a line of its own")
	errLineSlash  = errors.New(`a backslash outside of quotes means different things to different readers: put the value into single quotes`)
	errLineEscape = errors.New("in double quotes a backslash stands before \", \\, $ or ` only: put the value into single quotes")
	errLineOpen   = errors.New("a quote is opened and not closed on this line")
	errLineBehind = errors.New("something stands behind the closing quote: a value is quoted as a whole")
	errLineAgain  = errors.New("the name stands in the file already")
)

// parseFile reads NAME=value lines as systemd reads an EnvironmentFile=, and is strict about all that systemd, docker's
// --env-file and shells don't agree on: where they would read different values, one of them a cut off secret, the line
// is an error. So a value is a line at most, nothing in it is expanded, and quotes are around all of it or nowhere at
// its beginning. The error joins a lineError for each line that is wrong.
func parseFile(text string) (map[string]entry, error) {
	entries := make(map[string]entry)
	var wrong []error
	n := 0
	for line := range strings.Lines(text) {
		n++
		name, value, err := parseLine(line)
		if _, again := entries[name]; again && err == nil {
			err = fmt.Errorf("%s: %w, in line %d", name, errLineAgain, entries[name].line)
		}
		switch {
		case err != nil:
			wrong = append(wrong, lineError{n, err})
		case name != "":
			entries[name] = entry{value, n}
		}
	}
	return entries, errors.Join(wrong...)
}

// parseLine reads a line. A comment has no name.
func parseLine(line string) (name, value string, err error) {
	line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
	if !utf8.ValidString(line) || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		return "", "", errLineText
	}
	line = strings.Trim(line, " \t")
	if line == "" || line[0] == '#' || line[0] == ';' {
		return "", "", nil
	}
	name, value, found := strings.Cut(line, "=")
	name, value = strings.TrimRight(name, " \t"), strings.TrimLeft(value, " \t")
	switch {
	case strings.HasPrefix(name, "export ") || strings.HasPrefix(name, "export\t"):
		return "", "", errLineExport
	case !found:
		return "", "", errLineForm
	case !validName(name):
		return "", "", errLineName
	}
	value, err = unquote(value)
	if err != nil {
		return "", "", fmt.Errorf("%s: %w", name, err)
	}
	return name, value, nil
}

func validName(name string) bool {
	for i := range len(name) {
		c := name[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}

// unquote takes the quotes off a value.
func unquote(value string) (string, error) {
	if value == "" {
		return "", nil
	}
	switch value[0] {
	case '\'':
		inside, behind, closed := strings.Cut(value[1:], "'")
		return inside, quoted(behind, closed)
	case '"':
		return unescape(value[1:])
	}
	switch {
	case strings.Contains(value, `\`):
		return "", errLineSlash
	case value[0] == '#', strings.Contains(value, " #"), strings.Contains(value, "\t#"):
		return "", errLineSpace
	}
	return value, nil
}

// quoted says what is wrong with the end of a quoted value.
func quoted(behind string, closed bool) error {
	switch {
	case !closed:
		return errLineOpen
	case behind != "":
		return errLineBehind
	}
	return nil
}

// unescape reads a value up to the double quote that closes it.
func unescape(value string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(value); i++ {
		switch c := value[i]; c {
		case '"':
			return b.String(), quoted(value[i+1:], true)
		case '\\':
			i++
			if i == len(value) || !strings.ContainsRune("\"\\$`", rune(value[i])) {
				return "", errLineEscape
			}
			b.WriteByte(value[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", errLineOpen
}
