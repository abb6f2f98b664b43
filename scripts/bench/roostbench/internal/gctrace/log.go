package gctrace

import (
	"fmt"
	"io"
	"os"
)

// Log is the file that a program's standard error goes to, read from a moment on.
type Log struct {
	path string
	from int64
}

// maxLog is how much of a log is read, in bytes: 100,000 collections.
const maxLog = 16 << 20

// Follow remembers where the log ends now.
func Follow(path string) (Log, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Log{}, fmt.Errorf("the server's log: %w", err)
	}
	return Log{path, info.Size()}, nil
}

// Since returns the collections that were written since Follow.
func (l Log) Since() ([]Cycle, error) {
	file, err := os.Open(l.path)
	if err != nil {
		return nil, fmt.Errorf("the server's log: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.NewSectionReader(file, l.from, maxLog))
	if err != nil {
		return nil, fmt.Errorf("the server's log: %w", err)
	}
	return Parse(string(text)), nil
}
