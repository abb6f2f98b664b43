package config

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Row describes one variable.
type Row struct {
	Name    string
	Default string // empty: none
	Current string // empty: not set; masked when it is a secret
	Set     bool   // differs from the default
	Reload  bool   // can change while roost runs
	Desc    string
}

// Describe lists every variable in the order of the fields. Secrets are masked.
func (c Config) Describe() []Row {
	vs := variables()
	rows := make([]Row, len(vs))
	for i, v := range vs {
		current := v.current(c)
		rows[i] = Row{Name: v.name, Default: v.def, Current: v.shown(current), Set: current != v.def, Reload: v.reload, Desc: v.desc}
		if v.secret {
			rows[i].Desc += " Or " + v.fileName() + ", the path of a file with it."
		}
	}
	return rows
}

// The table's columns, in characters: together they fit a terminal of 110.
const (
	nameWidth  = 27
	valueWidth = 12
	descWidth  = 110 - nameWidth - 2*valueWidth - 3*len(gap)
	gap        = "  "
)

// Write prints Describe as an aligned table, and says which values are a file's. A value too long for its column
// moves the rest of its row down a line.
func (s Source) Write(w io.Writer, c Config) error {
	var b strings.Builder
	writeRow(&b, "VARIABLE", "DEFAULT", "CURRENT", "WHAT IT DOES")
	for _, r := range c.Describe() {
		if path := s.secretFile(variableOf(r.Name)); path != "" {
			r.Desc += " (From " + path + ".)"
		} else if _, there := s.lookup(r.Name); there {
			r.Desc += " (From " + s.path + ".)"
		}
		writeRow(&b, r.Name, orDash(r.Default), orDash(r.Current), r.Desc)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func writeRow(b *strings.Builder, name, def, current, desc string) {
	lines := wrap(desc, descWidth)
	head := fmt.Sprintf("%-*s%s%-*s%s%-*s", nameWidth, name, gap, valueWidth, def, gap, valueWidth, current)
	if utf8.RuneCountInString(def) > valueWidth || utf8.RuneCountInString(current) > valueWidth {
		fmt.Fprintf(b, "%s\n", strings.TrimRight(head, " "))
		head = ""
	}
	for _, line := range lines {
		fmt.Fprintf(b, "%-*s%s%s\n", nameWidth+2*valueWidth+2*len(gap), head, gap, line)
		head = ""
	}
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// wrap breaks text at spaces into lines of at most width characters, where words allow it.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
