package docs

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"roost/cmd/roost/internal/e2e"
)

var (
	mdHeading    = regexp.MustCompile(`(?m)^#+ (.*)$`)
	mdFence      = regexp.MustCompile("(?ms)^ *```.*?^ *```")
	mdLink       = regexp.MustCompile(`\]\(([^)\s]*)\)`)
	mdReference  = regexp.MustCompile(`\[[^\]]+\]\[([^\]]+)\]`)
	mdDefinition = regexp.MustCompile(`(?m)^\[([^\]]+)\]: \S+$`)
	mdTextLink   = regexp.MustCompile(`\[([^\]]*)\]\(([^)\s]*)\)`)
	stemmed      = regexp.MustCompile(`\p{Lu}?\p{Ll}{2,}|\p{Lu}{3,}`)
	inCode       = regexp.MustCompile("`([A-Z][A-Z_]+|[a-z]+_[a-z_]+)")
	notSlug      = regexp.MustCompile(`[^\pL\pN_ -]`)
)

// anchors are the names that GitHub gives to a page's headings, with the text of each.
func anchors(page string) map[string]string {
	all := make(map[string]string)
	for _, m := range mdHeading.FindAllStringSubmatch(mdFence.ReplaceAllString(page, ""), -1) {
		slug := strings.ReplaceAll(notSlug.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")
		name := slug
		for n := 1; all[name] != ""; n++ {
			name = fmt.Sprintf("%s-%d", slug, n)
		}
		all[name] = m[1]
	}
	return all
}

// linkedFrom are the pages whose links are followed, and the alerts, whose runbook_url is one.
func linkedFrom(t *testing.T) map[string]string {
	t.Helper()
	pages, err := filepath.Glob(e2e.Root + "/docs/*.md")
	if err != nil || len(pages) < 15 {
		t.Fatalf("%q: %v", pages, err)
	}
	more, err := filepath.Glob(e2e.Root + "/*.md")
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, file := range append(append(pages, more...), e2e.Root+"/client/README.md", e2e.Root+"/scripts/bench/peers/README.md", alertsFile) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts[file] = string(text)
		if filepath.Ext(file) == ".yml" { // from the top of the repository
			texts[file] = regexp.MustCompile(`runbook_url: (\S+)`).ReplaceAllString(texts[file], "[runbook](../$1)")
		}
	}
	return texts
}

// Each link of a document leads to a file of the repository, and to a heading of it.
func TestLinksOfDocuments(t *testing.T) {
	t.Parallel()
	links, pages := 0, headings{}
	for file, text := range linkedFrom(t) {
		text = mdFence.ReplaceAllString(text, "")
		for _, m := range mdLink.FindAllStringSubmatch(text, -1) {
			links++
			if err := pages.followLink(file, m[1]); err != nil {
				t.Errorf("%s links to %s: %v", file, m[1], err)
			}
		}
		defined := map[string]bool{}
		for _, m := range mdDefinition.FindAllStringSubmatch(text, -1) {
			defined[m[1]] = true
		}
		for _, m := range mdReference.FindAllStringSubmatch(text, -1) {
			if !defined[m[1]] {
				t.Errorf("%s has a link to [%s], which it does not define", file, m[1])
			}
		}
	}
	if links < 300 {
		t.Errorf("only %d links: are they still read as they are written?", links)
	}
}

// headings are the anchors of the files that were read, each of them once: Roost's pages lead to each other hundreds of times.
type headings map[string]map[string]string

// of returns the anchors of a file.
func (h headings) of(file string) (map[string]string, error) {
	if all, ok := h[file]; ok {
		return all, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	h[file] = anchors(string(text))
	return h[file], nil
}

// followLink says why a link of a file leads nowhere, if it does.
func (h headings) followLink(file, target string) error {
	path, anchor, _ := strings.Cut(target, "#")
	if strings.Contains(path, "://") {
		return nil
	}
	whole := file
	if path != "" {
		whole = filepath.Join(filepath.Dir(file), path)
	}
	if info, err := os.Stat(whole); err != nil || info.IsDir() {
		return err
	}
	if anchor == "" {
		return nil
	}
	all, err := h.of(whole)
	if err == nil && all[anchor] == "" {
		err = fmt.Errorf("%s has no such heading", whole)
	}
	return err
}

// A link leads to the right heading: a word of the heading is in the link or near it, or the section below the
// heading has most words of the link, or a name in code from around it. So a link that stays when its target moves on is found.
func TestLinksLeadToTheRightHeading(t *testing.T) {
	t.Parallel()
	texts := linkedFrom(t)
	links, pages := 0, headings{}
	for _, file := range slices.Sorted(maps.Keys(texts)) {
		if file == alertsFile {
			continue // TestAlertsAreComplete wants the heading of each alert's name
		}
		for _, around := range sentences(texts[file]) {
			for _, at := range mdTextLink.FindAllStringSubmatchIndex(around, -1) {
				link, target := around[at[2]:at[3]], around[at[4]:at[5]]
				path, anchor, _ := strings.Cut(target, "#")
				if anchor == "" || strings.Contains(path, "://") {
					continue
				}
				whole := file
				if path != "" {
					whole = filepath.Join(filepath.Dir(file), path)
				}
				linked, err := os.ReadFile(whole)
				if err != nil {
					continue // TestLinksOfDocuments says so
				}
				links++
				all, err := pages.of(whole)
				if err != nil {
					t.Fatal(err)
				}
				heading := all[anchor]
				near := nearby(around, at[0], at[1])
				if heading != "" && !share(stems(heading), stems(near)) && !related(heading, below(string(linked), heading), link, near) {
					t.Errorf("%s links to %q from %q, which says nothing of it", file, heading, near)
				}
			}
		}
	}
	if links < 150 {
		t.Errorf("only %d links: are they still read as they are written?", links)
	}
}

// nearby is a link with some words before it and behind it.
func nearby(sentence string, from, to int) string {
	const some = 7
	before := strings.Fields(linkTarget.ReplaceAllString(sentence[:from], "]"))
	behind := strings.Fields(linkTarget.ReplaceAllString(sentence[to:], "]"))
	words := append(before[max(len(before)-some, 0):len(before):len(before)], strings.Fields(linkTarget.ReplaceAllString(sentence[from:to], "]"))...)
	return strings.Join(append(words, behind[:min(some, len(behind))]...), " ")
}

// sentences are those of a page, each with its links; a row of a table is one.
func sentences(page string) []string {
	ends := regexp.MustCompile(`\n\s*\n|\n(?:[-*]|\d+\.|\|) |\.\s+`)
	return strings.Split(ends.ReplaceAllString(mdFence.ReplaceAllString(page, ""), "\x00"), "\x00")
}

// below is what a page says below a heading, up to the next.
func below(page, heading string) string {
	_, text, _ := strings.Cut(page, "# "+heading+"\n")
	if next := mdHeading.FindStringIndex(mdFence.ReplaceAllStringFunc(text, func(s string) string { return strings.Repeat("\n", len(s)) })); next != nil {
		text = text[:next[0]]
	}
	return text
}

func TestRelated(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		heading, section, link, around string
		want                           bool
	}{
		{"Permissions", "", "the permissions", "or [the permissions]", true},
		{"Tuning the host", "`roost doctor` checks files and memory", "README", "`WRONGPASS`: `REDIS_USERNAME`, or the permissions that the [README] lists", false},
		{"Stopping", "", "stop", "how a [stop] closes connections", true},
		{"RoostLoopBusy", "", "loops are busy", "[loops are busy]", true},
		{"When Redis is away", "With `REDIS_FEED_MAX_ATTEMPTS=0` clients stay", "why", "0 on a big site, `REDIS_FEED_MAX_ATTEMPTS=0`: [why]", true},
		{"Gap", "Roost tells a connection that notifications were lost", "told", "losses are counted and [told]", false},
		{"Network", "| 8082, admin | nobody |", "`HTTP_TOKEN`", "set [`HTTP_TOKEN`]", false},
		{"Network", "Set `HTTP_TOKEN` where others reach it", "`HTTP_TOKEN`", "set [`HTTP_TOKEN`]", true},
	} {
		if got := related(c.heading, c.section, c.link, c.around); got != c.want {
			t.Errorf("%q and %q: %v", c.heading, c.around, got)
		}
	}
}

// related says whether a link and the sentence around it are about a section.
func related(heading, section, link, around string) bool {
	var names []string
	for _, m := range inCode.FindAllStringSubmatch(around, -1) {
		names = append(names, m[1])
	}
	return share(stems(heading), stems(around)) || mostly(stems(link), stems(section)) ||
		slices.ContainsFunc(names, func(name string) bool { return strings.Contains(section, name) })
}

// mostly says whether more than half of the words are in the text.
func mostly(words, text []string) bool {
	in := 0
	for _, word := range words {
		if slices.Contains(text, word) {
			in++
		}
	}
	return 2*in > len(words)
}

func share(a, b []string) bool {
	return slices.ContainsFunc(a, func(word string) bool { return slices.Contains(b, word) })
}

// stems are the beginnings of the words that mean something, RoostLoopBusy as three.
func stems(text string) (all []string) {
	common := []string{"the", "this", "that", "what", "when", "how", "why", "and", "for", "from", "with", "who", "roost", "one", "are", "can"}
	for _, word := range stemmed.FindAllString(text, -1) {
		if word = strings.ToLower(word); !slices.Contains(common, word) {
			all = append(all, word[:min(len(word), 4)])
		}
	}
	return all
}

// Each page of docs that code, scripts and texts of commands name is there, with its heading.
func TestSourcesNamePages(t *testing.T) {
	t.Parallel()
	named := regexp.MustCompile(`\bdocs/[\w-]+\.md(?:#[\w-]+)?`)
	found, pages := 0, headings{}
	err := filepath.WalkDir(e2e.Root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && slices.Contains([]string{".git", "bin", "node_modules"}, entry.Name()):
			return filepath.SkipDir
		case entry.IsDir() || !slices.Contains([]string{".go", ".sh", ".yml", ".js", ".ts", ".html", ".tmpl", ".conf", ".service", ".socket", ".json", ""}, filepath.Ext(path)):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil || strings.HasSuffix(path, "links_test.go") {
			return err
		}
		for _, name := range named.FindAllString(string(text), -1) {
			found++
			if err := pages.followLink(e2e.Root+"/x", name); err != nil {
				t.Errorf("%s names %s: %v", path, name, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found < 50 {
		t.Errorf("only %d names: are they still read as they are written?", found)
	}
}
