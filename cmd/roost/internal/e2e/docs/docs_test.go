package docs

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

// namedTest is a package, a test, and in quotes the cases behind it: `hub.TestX` “one”, “another”.
var namedTest = regexp.MustCompile("`(\\w+)\\.((?:Test|Fuzz)\\w+)`((?:,?\\s“[^”]+”)*)")

// Each test that a document names exists, and has the cases that it names.
func TestDocumentsNameTests(t *testing.T) {
	t.Parallel()
	sources := testSources(t)
	quoted := regexp.MustCompile("“([^”]+)”")
	for path, least := range map[string]int{"rfc6455.md": 60, "reliability.md": 40, "scaling.md": 8, "mistakes.md": 40} {
		found := namedTest.FindAllStringSubmatch(e2e.Document(t, path), -1)
		if len(found) < least {
			t.Fatalf("%s names %d tests: is it still read as it is written?", path, len(found))
		}
		for _, ref := range found {
			name, body := ref[1]+"."+ref[2], functionBody(sources[ref[1]], ref[2])
			if body == "" {
				t.Errorf("%s names %s, which there is not", path, name)
				continue
			}
			for _, one := range quoted.FindAllStringSubmatch(ref[3], -1) {
				if !strings.Contains(body, `"`+one[1]+`"`) {
					t.Errorf("%s names the case %q of %s, which has none such", path, one[1], name)
				}
			}
		}
	}
}

// Each metric that docs/reliability.md names is exported, with the labels that it has there, and each line of its
// tables has as many columns as the first, and a test in the last.
func TestReliabilityNamesMetrics(t *testing.T) {
	t.Parallel()
	_, server := e2e.Start(t, roosttest.Env{"REDIS_FEED": "user"}) // some are there only so
	metrics := server.Metrics()
	page := e2e.Document(t, "reliability.md")
	found := regexp.MustCompile("`(roost_\\w+)(\\{[^}]*\\})?`").FindAllStringSubmatch(page, -1)
	if len(found) < 30 {
		t.Fatalf("the page names %d metrics: is it still read as it is written?", len(found))
	}
	for _, ref := range found {
		if !exported(metrics, ref[1], ref[2]) {
			t.Errorf("the page names %s%s, which is not exported", ref[1], ref[2])
		}
	}
	columns := 0                                                                        // of the table that the line is in; 0: in none
	measured := regexp.MustCompile(`(?s)<!-- faults: written by.*<!-- faults: end -->`) // has no tests in it
	for line := range strings.Lines(measured.ReplaceAllString(page, "")) {
		n := strings.Count(line, " | ") + 1
		switch {
		case strings.HasPrefix(line, "|---"):
		case !strings.HasPrefix(line, "| "):
			columns = 0
		case columns == 0:
			if columns = n; !strings.HasSuffix(line, " Test |\n") {
				t.Errorf("a table has no column for tests: %s", line)
			}
		case n != columns || !namedTest.MatchString(line):
			t.Errorf("a line of a table has %d columns, want %d, and a test in the last:\n%s", n, columns, line)
		}
	}
}

// exported says whether there is a metric, with exactly those labels or, if there are none, with any.
func exported(metrics roosttest.Metrics, name, labels string) bool {
	if _, ok := metrics[name+labels]; ok || labels != "" {
		return ok
	}
	for key := range metrics {
		if strings.HasPrefix(key, name+"{") {
			return true
		}
	}
	return false
}

// testSources are the texts of all tests, by the name of their package.
func testSources(t *testing.T) map[string]string {
	t.Helper()
	sources := map[string]string{}
	packageName := regexp.MustCompile(`(?m)^package (\w+)$`)
	err := filepath.WalkDir(e2e.Root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name := packageName.FindSubmatch(source)
		if name == nil {
			return fmt.Errorf("%s has no package", path)
		}
		called := strings.TrimSuffix(string(name[1]), "_test")
		if called == "main" {
			called = filepath.Base(filepath.Dir(path))
		}
		sources[called] += string(source)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return sources
}

// functionBody is a function's text, as gofmt lays it out, or "".
func functionBody(source, name string) string {
	_, body, ok := strings.Cut(source, "func "+name+"(")
	if !ok {
		return ""
	}
	body, _, _ = strings.Cut(body, "\n}\n")
	return body
}
