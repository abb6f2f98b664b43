package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strconv"
	"strings"
)

// reading is the numbers of a file, or why there are none.
type reading struct {
	file    string // without the leading slash, or another source
	numbers []uint64
	err     error
}

// at is the nth number, or 0.
func (r reading) at(n int) uint64 {
	if n >= len(r.numbers) {
		return 0
	}
	return r.numbers[n]
}

// missing says whether there is no such file: the kernel does not have it.
func (r reading) missing() bool { return errors.Is(r.err, fs.ErrNotExist) }

// source is where the numbers come from, for people.
func (r reading) source() string {
	if name, ok := strings.CutPrefix(r.file, "proc/sys/"); ok {
		return strings.ReplaceAll(name, "/", ".")
	}
	if strings.Contains(r.file, "/") {
		return "/" + r.file
	}
	return r.file
}

// String is the numbers as the file has them.
func (r reading) String() string {
	var words []string
	for _, n := range r.numbers {
		words = append(words, thousands(n))
	}
	return strings.Join(words, " ")
}

// readNumbers reads a file of numbers with white space between them.
func readNumbers(host fs.FS, file string) reading {
	text, err := fs.ReadFile(host, file)
	if err != nil {
		return reading{file: file, err: err}
	}
	words := strings.Fields(string(text))
	if len(words) == 0 {
		return reading{file: file, err: fmt.Errorf("%s is empty", file)}
	}
	return parseNumbers(file, words)
}

// parseNumbers reads the numbers of a file. The word unlimited, which limits may be, is the largest one.
func parseNumbers(file string, words []string) reading {
	r := reading{file: file}
	for _, word := range words {
		n, err := strconv.ParseUint(word, 10, 64)
		if word == "unlimited" {
			n, err = math.MaxInt64, nil
		}
		if err != nil {
			return reading{file: file, err: fmt.Errorf("%s: %q is not a number", file, word)}
		}
		r.numbers = append(r.numbers, n)
	}
	return r
}

// readOpenFiles reads RLIMIT_NOFILE, soft and hard, from the line
//
//	Max open files            1024                 524288               files
func readOpenFiles(host fs.FS) reading {
	const file = "proc/self/limits"
	fields, err := findLine(host, file, "Max open files")
	if err != nil {
		return reading{file: file, err: err}
	}
	return parseNumbers(file, fields[:min(2, len(fields))])
}

// readAvailable reads how much memory programs may still have, in bytes.
func readAvailable(host fs.FS) reading {
	const file = "proc/meminfo"
	fields, err := findLine(host, file, "MemAvailable:")
	if err != nil {
		return reading{file: file, err: err}
	}
	kilobytes, err := strconv.ParseUint(fields[0], 10, 54)
	if err != nil {
		return reading{file: file, err: fmt.Errorf("%s: MemAvailable is %q", file, fields[0])}
	}
	return reading{file: file, numbers: []uint64{kilobytes << 10}}
}

// readPorts reads the ports that are never given out: 8080,9000-9010. It makes
// pairs of first and last of them.
func readPorts(host fs.FS) reading {
	const file = "proc/sys/net/ipv4/ip_local_reserved_ports"
	text, err := fs.ReadFile(host, file)
	if err != nil {
		return reading{file: file, err: err}
	}
	r := reading{file: file}
	for part := range strings.SplitSeq(strings.TrimSpace(string(text)), ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		from, err1 := strconv.ParseUint(first, 10, 16)
		to, err2 := strconv.ParseUint(last, 10, 16)
		if err1 == nil && err2 == nil {
			r.numbers = append(r.numbers, from, to)
		}
	}
	return r
}

// findLine returns the words that follow name on its line: one at least.
func findLine(host fs.FS, file, name string) ([]string, error) {
	text, err := fs.ReadFile(host, file)
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name); ok && len(strings.Fields(rest)) > 0 {
			return strings.Fields(rest), nil
		}
	}
	return nil, fmt.Errorf("%s has no line %q", file, name)
}
