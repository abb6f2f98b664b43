package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"roost/cmd/roost/internal/e2e"
)

var (
	mdHeading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	mdLink    = regexp.MustCompile(`\]\(([^)\s]*)\)`)
	notSlug   = regexp.MustCompile(`[^\pL\pN_ -]`)
)

// anchors are the names that GitHub gives to a page's headings.
func anchors(page string) map[string]bool {
	all := make(map[string]bool)
	for _, m := range mdHeading.FindAllStringSubmatch(page, -1) {
		all[strings.ReplaceAll(notSlug.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
	}
	return all
}

// Each link of a document leads to a file of the repository, and to a heading of it.
func TestLinksOfDocuments(t *testing.T) {
	t.Parallel()
	documents, err := filepath.Glob(e2e.Root + "/docs/*.md")
	if err != nil || len(documents) < 5 {
		t.Fatalf("%q: %v", documents, err)
	}
	links := 0
	for _, file := range append(documents, e2e.Root+"/README.md", e2e.Root+"/ARCHITECTURE.md", e2e.Root+"/CONTRIBUTING.md", alertsFile) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		targets := mdLink.FindAllStringSubmatch(string(text), -1)
		if filepath.Ext(file) == ".yml" {
			targets = regexp.MustCompile(`runbook: (\S+)`).FindAllStringSubmatch(string(text), -1)
			for _, target := range targets {
				target[1] = "../" + target[1] // they are from the top
			}
		}
		for _, target := range targets {
			path, anchor, _ := strings.Cut(target[1], "#")
			if strings.Contains(path, "://") {
				continue
			}
			links++
			whole := file
			if path != "" {
				whole = filepath.Join(filepath.Dir(file), path)
			}
			linked, err := os.ReadFile(whole)
			if info, statErr := os.Stat(whole); statErr == nil && info.IsDir() {
				continue
			}
			if err != nil {
				t.Errorf("%s links to %s: %v", file, target[1], err)
			} else if anchor != "" && !anchors(string(linked))[anchor] {
				t.Errorf("%s links to %s, which has no such heading", file, target[1])
			}
		}
	}
	if links < 100 {
		t.Errorf("only %d links: are they still read as they are written?", links)
	}
}
