package wsproto

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Each test that docs/rfc6455.md names exists, and has the cases that it names.
func TestRFC6455NamesTests(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/rfc6455.md")
	if err != nil {
		t.Fatal(err)
	}
	sources := map[string]string{}
	for name, dir := range map[string]string{"wsproto": ".", "netpoll": "../netpoll", "roost": "../cmd/roost"} {
		sources[name] = testSource(t, dir)
	}
	// A package, a test, and the cases behind it.
	named := regexp.MustCompile("`(\\w+)\\.((?:Test|Fuzz)\\w+)`((?:,?\\s“[^”]+”)*)")
	quoted := regexp.MustCompile("“([^”]+)”")
	found := named.FindAllStringSubmatch(string(page), -1)
	if len(found) < 60 {
		t.Fatalf("the page names %d tests: is it still read as it is written?", len(found))
	}
	for _, ref := range found {
		source, name := sources[ref[1]], ref[1]+"."+ref[2]
		body := functionBody(source, ref[2])
		if body == "" {
			t.Errorf("the page names %s, which there is not", name)
			continue
		}
		for _, one := range quoted.FindAllStringSubmatch(ref[3], -1) {
			if !strings.Contains(body, `"`+one[1]+`"`) {
				t.Errorf("the page names the case %q of %s, which has none such", one[1], name)
			}
		}
	}
}

// testSource is all of a package's tests.
func testSource(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s has no tests: %v", dir, err)
	}
	var all strings.Builder
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(source)
	}
	return all.String()
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
