package main

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"
)

//go:embed page.md.tmpl
var pageText string

// page writes docs/benchmarks.md.
func page(s *summary, drawn []chart) ([]byte, error) {
	t := template.New("page")
	t.Funcs(template.FuncMap{
		"table":    s.table,
		"measured": func(step string) bool { return slices.Contains(s.steps(), step) },
		"server":   func(name string) bool { return slices.Contains(s.servers(""), name) },
		"title":    func(step string) string { return s.of(step, "")[0].Title },
		"command":  s.command,
		"rounds":   s.rounds,
		"plain":    s.plainTable,
		"bursts":   s.burstTable,
		"picture":  func(file string) string { return picture(drawn, file) },
		"why":      func(id string) (string, error) { return explanation(t, id, s) },
	})
	if _, err := t.Parse(pageText); err != nil {
		return nil, fmt.Errorf("page.md.tmpl: %w", err)
	}
	var text bytes.Buffer
	if err := t.ExecuteTemplate(&text, "page", pageData{s}); err != nil {
		return nil, fmt.Errorf("page.md.tmpl: %w", err)
	}
	return tidy(text.Bytes()), nil
}

// pageData is what the template sees.
type pageData struct{ *summary }

func (p pageData) Date() string       { return p.Time.UTC().Format("2006-01-02 15:04 UTC") }
func (p pageData) Took() string       { return p.Elapsed.Round(time.Second).String() }
func (p pageData) Targets() []verdict { return p.targets() }
func (p pageData) Benchmarked() string {
	return p.benchTable()
}
func (p pageData) Glance() string            { return p.glanceTable() }
func (p pageData) Floor() string             { return p.floorTable() }
func (p pageData) UpgradeFar() string        { return p.upgradeFarTable() }
func (p pageData) OtherBenchmarks() []string { return p.otherBenchmarks() }

// Memory is the machine's in GiB; /proc says "24684096 kB".
func (p pageData) Memory() string {
	kilo, err := strconv.ParseFloat(strings.TrimSuffix(p.Machine.Memory, " kB"), 64)
	if err != nil {
		return p.Machine.Memory
	}
	return fmt.Sprintf("%.1f GiB", kilo/(1<<20))
}

// Missed are the targets that were measured and not met.
func (p pageData) Missed() []verdict {
	return slices.DeleteFunc(p.targets(), func(v verdict) bool { return v.Met || v.Measured == "" })
}

// command is what measured a step, as it can be given by hand.
func (s *summary) command(step string) string {
	return "roostbench " + strings.Join(s.of(step, "")[0].Args, " ")
}

// rounds says how often a step was measured of a server, and when if that was apart from the rest: for all servers, or for
// those that were measured together.
func (s *summary) rounds(step string) string {
	rounds, times := map[int]bool{}, []string{}
	servers := map[string][]string{} // by when they were measured
	for _, m := range s.of(step, "") {
		rounds[m.Round] = true
		if !slices.Contains(times, m.Apart) {
			times = append(times, m.Apart)
		}
		if !slices.Contains(servers[m.Apart], m.Server) {
			servers[m.Apart] = append(servers[m.Apart], m.Server)
		}
	}
	text := "1 round"
	if n := len(rounds); n > 1 {
		text = fmt.Sprintf("%d rounds", n)
	}
	var parts []string
	for _, when := range times {
		part := when
		if len(times) > 1 {
			part = "of " + strings.Join(servers[when], ", ") + " " + cmp.Or(when, "with the rest")
		}
		if part != "" {
			parts = append(parts, " "+part)
		}
	}
	return text + strings.Join(parts, ";")
}

// picture shows a picture if it was drawn.
func picture(drawn []chart, file string) string {
	for _, c := range drawn {
		if c.File == file {
			return fmt.Sprintf("![%s](bench/%s.svg)", c.Title, file)
		}
	}
	return ""
}

// explanation is what the template has to say of a target that was missed, if
// anything.
func explanation(t *template.Template, id string, s *summary) (string, error) {
	name := "why-" + id
	if t.Lookup(name) == nil {
		return "", nil
	}
	var text bytes.Buffer
	err := t.ExecuteTemplate(&text, name, pageData{s})
	return strings.TrimSpace(text.String()), err
}

// tidy leaves one empty line where there are more.
func tidy(text []byte) []byte {
	for bytes.Contains(text, []byte("\n\n\n")) {
		text = bytes.ReplaceAll(text, []byte("\n\n\n"), []byte("\n\n"))
	}
	return append(bytes.TrimSpace(text), '\n')
}
