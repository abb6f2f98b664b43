package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
)

// fileVariable names the file of variables. Only the environment can say it.
const fileVariable = "ROOST_CONFIG_FILE"

// Source is where the variables' values come from: the process's environment, and below it the file that
// ROOST_CONFIG_FILE names, as it was at one moment. The zero value is the environment alone. Static; any goroutine.
type Source struct {
	path     string
	file     map[string]entry
	fallback bool // the environment named no file; path is OpenOr's
}

// Open reads the file that ROOST_CONFIG_FILE names, if it names one. The error says which lines are wrong, one line
// each, and prints no value.
func Open() (Source, error) {
	path := os.Getenv(fileVariable)
	if path == "" {
		return Source{}, nil
	}
	return Source{path: path}.open()
}

// OpenOr is Open, but where ROOST_CONFIG_FILE names no file it reads the one at path, if there is one. Commands use it
// with the path of the service's file; the server itself reads only what it is told to.
func OpenOr(path string) (Source, error) {
	if os.Getenv(fileVariable) != "" {
		return Open()
	}
	_, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR):
		return Source{}, nil
	case err != nil:
		return Source{path: path, fallback: true}, err
	}
	return Source{path: path, fallback: true}.open()
}

// open reads one file. Its error names the variable where that names the file.
func (s Source) open() (Source, error) {
	file, err := readFile(s.path)
	if at, there := file[fileVariable]; there {
		err = fmt.Errorf("%s: line %d: a file can't name another one", s.path, at.line)
	}
	switch {
	case err == nil:
		s.file = file
		return s, nil
	case s.fallback:
		return s, err
	}
	return s, prefixed(fileVariable+": ", err)
}

// prefixed puts a text before each line of an error.
func prefixed(prefix string, err error) error {
	var lines []error
	for line := range strings.Lines(err.Error()) {
		lines = append(lines, errors.New(prefix+strings.TrimSuffix(line, "\n")))
	}
	return errors.Join(lines...)
}

// File is the path of the file, "" without one.
func (s Source) File() string { return s.path }

// Default reports whether the file is the one that OpenOr was given, and not one that ROOST_CONFIG_FILE names.
func (s Source) Default() bool { return s.fallback }

// lookup is what the file says of a variable, where the environment does not say something else.
func (s Source) lookup(name string) (entry, bool) {
	if _, set := os.LookupEnv(name); set {
		return entry{}, false
	}
	at, there := s.file[name]
	return at, there
}

// Set reports whether the environment or the file says anything of a variable, or names the file that it is in.
func (s Source) Set(name string) bool {
	if s.secretFile(variableOf(name)) != "" {
		return true
	}
	_, inEnvironment := os.LookupEnv(name)
	_, inFile := s.file[name]
	return inEnvironment || inFile
}

// Of is where a variable's value comes from, as the table of Write has it: "environment", "file", or "" for the default.
func (s Source) Of(name string) string {
	if _, set := os.LookupEnv(name); set {
		return "environment"
	}
	if _, there := s.file[name]; there {
		return "file"
	}
	return ""
}

// unknownEntry is what is said of a name in the file that nothing reads.
func (s Source) unknownEntry(name string, at entry) string {
	return fmt.Sprintf("%s (%s, line %d)", unknownName(name), s.path, at.line)
}

// From says where a value is from that is in force: "environment", the path of the file, or "default". set is whether it
// differs from the default, which REDIS_URL, or a demo ("the program"), may have done.
func (s Source) From(name string, set bool) string {
	if path := s.secretFile(variableOf(name)); path != "" {
		return path
	}
	switch s.Of(name) {
	case "environment":
		return "environment"
	case "file":
		return s.path
	}
	switch {
	case set && strings.HasPrefix(name, "REDIS_") && s.Set("REDIS_URL"):
		return "REDIS_URL"
	case set:
		return "the program"
	}
	return "default"
}

// warnings lists what is suspicious about the file: names that nothing reads, and variables that the environment
// overrides, which no reload can change then.
func (s Source) warnings() []string {
	var ws []string
	all := names()
	for name, at := range s.file {
		known := slices.Contains(all, name)
		_, overridden := os.LookupEnv(name)
		switch {
		case !known:
			ws = append(ws, s.unknownEntry(name, at))
		case overridden:
			ws = append(ws, fmt.Sprintf("%s is in the environment too, which counts: what %s says in line %d has no effect,"+
				" and a reload can't change it", name, s.path, at.line))
		}
	}
	slices.Sort(ws)
	return ws
}
