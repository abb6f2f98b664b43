//go:build linux

package handover

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Format is the version of the sections that this release writes.
const Format = 1

// Formats are those that this release reads: its own, and that of the release before.
func Formats() []int { return []int{Format} }

// maxGreeting bounds hello and offer, in bytes.
const maxGreeting = 64 << 10

// Hello is what the new process says of itself.
type Hello struct {
	Formats []int  // that it reads
	Release string // its version, for the log
	Pid     int
	Mode    string   // its WS_UPGRADE: handover or drain
	Must    []Fact   // what the old process has to agree with
	Sockets int      // client sockets that its descriptors allow
	Memory  int64    // bytes that it may still take; 0: no limit is known
	Takes   []string // kinds of late sections that it has a use for, where that depends on its settings
}

// Fact is a setting that both processes have to agree on.
type Fact struct {
	Name   string // of the variable
	Value  string // what is compared
	Secret bool   // Value is not to be shown
}

// Offer is what the old process says.
type Offer struct {
	Format  int    // of the sections
	Release string // its version, for the log
	Sockets int    // that it has now
}

// Need is what the handover of a process takes of the new one.
type Need struct {
	Must    []Fact
	Sockets int
	Bytes   int64 // of state, about
}

// ErrRefused is why one process refuses a handover to, or from, the other. The text around it says why.
var ErrRefused = errors.New("the handover is refused")

// Check returns why the new process can't take over, in words, joined; nil if it can. The error wraps ErrRefused.
func (h Hello) Check(need Need) error {
	var why []string
	if !slices.Contains(h.Formats, Format) {
		why = append(why, fmt.Sprintf("this release hands over in format %d, the new one (%s) reads %s", Format, h.Release, list(h.Formats)))
	}
	for _, fact := range need.Must {
		if other, is := find(h.Must, fact.Name); !is || other.Value != fact.Value {
			why = append(why, fact.differs(other, is))
		}
	}
	if h.Sockets < need.Sockets {
		why = append(why, fmt.Sprintf("the new process has descriptors for %d client sockets (ulimit -n, LimitNOFILE=), and there are %d", h.Sockets, need.Sockets))
	}
	if h.Memory > 0 && h.Memory < need.Bytes {
		why = append(why, fmt.Sprintf("the memory limit leaves the new process %d bytes, and the connections need about %d", h.Memory, need.Bytes))
	}
	if len(why) == 0 {
		return nil
	}
	return refused(strings.Join(why, "; "))
}

// differs says how a fact differs from that of the new process.
func (f Fact) differs(other Fact, known bool) string {
	switch {
	case !known:
		return fmt.Sprintf("the new process does not say what its %s is", f.Name)
	case f.Secret || other.Secret:
		return f.Name + " is another one in the new process"
	}
	return fmt.Sprintf("%s is %q in the new process and %q in the running one", f.Name, other.Value, f.Value)
}

func find(facts []Fact, name string) (Fact, bool) {
	i := slices.IndexFunc(facts, func(f Fact) bool { return f.Name == name })
	if i < 0 {
		return Fact{}, false
	}
	return facts[i], true
}

func list(formats []int) string {
	if len(formats) == 0 {
		return "none"
	}
	return strings.Trim(fmt.Sprint(formats), "[]")
}

func refused(why string) error { return fmt.Errorf("%w: %s", ErrRefused, why) }

// Reason is the text of an error without the part that says that the handover is refused, or that the connections are drained.
func Reason(err error) string {
	text := strings.TrimPrefix(err.Error(), ErrRefused.Error()+": ")
	return strings.TrimPrefix(text, ErrDrain.Error()+": ")
}

// reason is the text of an error for the other process, which adds by itself that the handover is refused.
func reason(err error) []byte {
	return []byte(Reason(err))
}

// readGreeting reads a Hello or an Offer. Fields that a later release has added are passed over.
func readGreeting(body []byte, into any) error {
	if len(body) > maxGreeting {
		return fmt.Errorf("a greeting of %d bytes: there may be %d", len(body), maxGreeting)
	}
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(into); err != nil {
		return fmt.Errorf("reading the greeting: %w", err)
	}
	return nil
}
