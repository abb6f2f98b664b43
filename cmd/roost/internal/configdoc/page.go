package main

import (
	_ "embed"
	"fmt"
	"io"
	"strings"
	"text/template"

	"roost/cmd/roost/internal/config"
)

//go:embed page.md.tmpl
var page string

// section is the table of the variables that share a prefix.
type section struct {
	Title string
	Rows  []config.Row
}

// titles says how the page calls the variables that begin with a prefix.
var titles = map[string]string{
	"ROOST":   "The file of variables",
	"WS":      "WebSocket connections",
	"REDIS":   "Redis",
	"JWT":     "Tokens",
	"LOGGER":  "Logs",
	"DISCORD": "Alerts",
	"WEBHOOK": "The webhook",
	"HTTP":    "The admin server",
}

// write prints the page.
func write(w io.Writer) error {
	sections, err := sectionsOf(config.Config{}.Describe())
	if err != nil {
		return err
	}
	t, err := template.New("page").Funcs(template.FuncMap{"cell": cell, "code": code}).Parse(page)
	if err != nil {
		return fmt.Errorf("page.md.tmpl: %w", err)
	}
	return t.Execute(w, sections)
}

// sectionsOf groups rows by prefix and keeps their order. It is an error that a prefix has no title.
func sectionsOf(rows []config.Row) ([]section, error) {
	var sections []section
	for _, row := range rows {
		prefix, _, _ := strings.Cut(row.Name, "_")
		title := titles[prefix]
		if title == "" {
			return nil, fmt.Errorf("%s: no title for variables that begin with %s_", row.Name, prefix)
		}
		if n := len(sections); n == 0 || sections[n-1].Title != title {
			sections = append(sections, section{Title: title})
		}
		last := &sections[len(sections)-1]
		last.Rows = append(last.Rows, row)
	}
	return sections, nil
}

// cell is text in a cell of a Markdown table.
func cell(text string) string {
	return strings.NewReplacer(`\`, `\\`, `|`, `\|`, `*`, `\*`, `<`, `\<`, "`", "\\`").Replace(text)
}

// code is a value in a cell of a Markdown table; nothing for none.
func code(value string) string {
	if value == "" {
		return ""
	}
	return "`" + strings.ReplaceAll(value, `|`, `\|`) + "`"
}
