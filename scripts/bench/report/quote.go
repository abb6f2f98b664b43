package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
)

// quoted is a figure in a page that people write: step, server and figure in a comment ("RssAnon at 15,000" where it has sizes),
// and then its median and its unit, which end at the next comment.
var quoted = regexp.MustCompile(`<!-- ([a-z0-9-]+) ([^:>]+): ([^>]+) -->([^<]*)<!-- / -->`)

// quoteIn writes the medians of this run into the figures that a page quotes. Figures that were not measured stay.
// It is no error that there is no such page: a run of some steps writes into a directory of its own.
func (s *summary) quoteIn(path string) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(s.quote(string(text))), 0o644)
}

// quote returns the page with the medians in it.
func (s *summary) quote(page string) string {
	return quoted.ReplaceAllStringFunc(page, func(whole string) string {
		m := quoted.FindStringSubmatch(whole)
		step, server, name := m[1], m[2], m[3]
		for _, measured := range s.of(step, server) {
			for _, f := range measured.Figures {
				if f.title() != name {
					continue
				}
				median := newSpread(s.values(step, server, f.key()))
				return fmt.Sprintf("<!-- %s %s: %s -->%s %s<!-- / -->", step, server, name, median.short(), f.Unit)
			}
		}
		return whole
	})
}
