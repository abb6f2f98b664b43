package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one variable with a value that roost cannot run with.
type Problem struct {
	Name  string // the variable
	Value string // what it is, masked when it is a secret
	Want  string // what would be right
	Where string // the file and line that say it; empty: the environment, or nobody
}

// Error is one line: WS_PORT="abc": a port number from 1 to 65535 …
func (p Problem) Error() string {
	if p.Where != "" {
		return fmt.Sprintf("%s=%q (%s): want %s", p.Name, p.Value, p.Where, p.Want)
	}
	return fmt.Sprintf("%s=%q: want %s", p.Name, p.Value, p.Want)
}

// Problems is everything that is wrong, in the order of the Config's fields. It is never empty when returned as an
// error.
type Problems []Problem

// Error is one line a problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As find the single problems.
func (ps Problems) Unwrap() []error {
	errs := make([]error, len(ps))
	for i, p := range ps {
		errs[i] = p
	}
	return errs
}

// err is ps as an error, in the order of the fields; nil when there are none.
func (ps Problems) err() error {
	if len(ps) == 0 {
		return nil
	}
	order := map[string]int{}
	for _, v := range variables() {
		order[v.name], order[v.fileName()] = v.index, v.index
	}
	slices.SortStableFunc(ps, func(a, b Problem) int { return cmp.Compare(order[a.Name], order[b.Name]) })
	return ps
}

// names says whether one of ps is about the variable.
func (ps Problems) names(name string) bool {
	for _, p := range ps {
		if p.Name == name {
			return true
		}
	}
	return false
}
