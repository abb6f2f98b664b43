package docs

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"roost/cmd/roost/internal/e2e"
)

// runLength is how many words in a row are a fact, and no phrase of the language.
const runLength = 9

// saidTwice are the runs that two places may share, and why. Each begins where the run begins.
func saidTwice() map[string]string {
	return map[string]string{
		"connection that comes back by itself each time with a fresh token": "the npm package's README stands alone",
	}
}

// generated are the parts of pages that programs write, and why they may repeat what is said elsewhere.
func generated() map[string][]*regexp.Regexp {
	rows := regexp.MustCompile("(?m)^\\| `[A-Z_]+` \\| (?:`[^`]*`)? ?\\| .*$")
	markers := regexp.MustCompile(`(?s)<!-- ?([a-z:]+).*?<!-- ?/?(?:[a-z:]+ ?end|end|/[a-z:]+) ?-->`)
	return map[string][]*regexp.Regexp{
		"docs/configuration.md": {rows},                                                                 // the texts of roost config, complete in themselves
		"docs/metrics.md":       {markers},                                                              // the texts of /metrics, as Prometheus shows them
		"docs/benchmarks.md":    {regexp.MustCompile(`(?m)^\|.*$|^\d+ rounds?(?: of [^:\n]+)? on .*$`)}, // tables: figures, and the targets' names; when they were measured
		"docs/scaling.md":       {markers},                                                              // figures
		"docs/abuse.md":         {markers},                                                              // figures
		"docs/compatibility.md": {markers},                                                              // versions
		"docs/reliability.md":   {markers},                                                              // figures
	}
}

// A fact is said in one place, and linked to from the others: no two places share nine words in a row. Commands and
// programs are none of it, as a reader copies them where they are needed.
func TestNothingIsSaidTwice(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob(e2e.Root + "/docs/*.md")
	if err != nil || len(pages) < 15 {
		t.Fatalf("%q: %v", pages, err)
	}
	texts := map[string]string{}
	for _, page := range append(pages, e2e.Root+"/README.md", e2e.Root+"/ARCHITECTURE.md", e2e.Root+"/CONTRIBUTING.md", e2e.Root+"/client/README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.ToSlash(strings.TrimPrefix(page, e2e.Root+"/"))
		texts[name] = string(text)
		for _, part := range generated()[name] {
			texts[name] = part.ReplaceAllStringFunc(texts[name], func(s string) string { return strings.Repeat("\n", strings.Count(s, "\n")) })
		}
	}
	allowed := saidTwice()
	for _, run := range repeated(texts) {
		if i := slices.IndexFunc(slices.Collect(maps.Keys(allowed)), func(start string) bool { return strings.HasPrefix(run.words, start) }); i < 0 {
			t.Errorf("%s and %s both say: %s", run.first, run.second, run.words)
		}
	}
}

func TestRepeated(t *testing.T) {
	t.Parallel()
	const nine = "Roost keeps one descriptor aside for links to Redis"
	for name, c := range map[string]struct {
		texts map[string]string
		want  []string
	}{
		"two pages":           {map[string]string{"a": nine + ".", "b": "Well: " + nine + " and more."}, []string{"a:1 b:1 roost keeps one descriptor aside for links to redis"}},
		"one page":            {map[string]string{"a": nine + ".\n\n- " + nine}, []string{"a:1 a:3 roost keeps one descriptor aside for links to redis"}},
		"wrapped and linked":  {map[string]string{"a": nine, "b": "x\n\nRoost keeps one\n[descriptor](c.md#d) `aside` for **links** to Redis"}, []string{"a:1 b:3 roost keeps one descriptor aside for links to redis"}},
		"in a cell":           {map[string]string{"a": nine, "b": "| Limit | " + nine + " |"}, []string{"a:1 b:1 roost keeps one descriptor aside for links to redis"}},
		"longer":              {map[string]string{"a": nine + " at all times", "b": nine + " at all hours"}, []string{"a:1 b:1 roost keeps one descriptor aside for links to redis at all"}},
		"eight words":         {map[string]string{"a": "Roost keeps one descriptor aside for links to", "b": nine}, nil},
		"across items":        {map[string]string{"a": "- Roost keeps one descriptor\n- aside for links to Redis", "b": nine}, nil},
		"a command":           {map[string]string{"a": "Type `" + nine + "`", "b": nine}, nil},
		"a program":           {map[string]string{"a": "```sh\n" + nine + "\n```", "b": nine}, nil},
		"an indented program": {map[string]string{"a": "x\n\n    " + nine, "b": nine}, nil},
	} {
		var got []string
		for _, run := range repeated(c.texts) {
			got = append(got, run.first+" "+run.second+" "+run.words)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// sharedRun is a run of words that two places have, each a page and a line.
type sharedRun struct{ first, second, words string }

// passage is a piece of text that is read in one go: a paragraph, an item, a cell.
type passage struct {
	place string
	words []string
}

// repeated finds the runs that two passages share, each at its full length.
func repeated(pages map[string]string) (runs []sharedRun) {
	type position struct{ passage, word int }
	seen := map[string]position{}
	var passages []passage
	for _, name := range slices.Sorted(maps.Keys(pages)) {
		passages = append(passages, passagesOf(name, pages[name])...)
	}
	for i, p := range passages {
		for j := 0; j+runLength <= len(p.words); j++ {
			key := strings.Join(p.words[j:j+runLength], " ")
			before, again := seen[key]
			if !again {
				seen[key] = position{i, j}
				continue
			}
			first, n := passages[before.passage].words, runLength
			for before.word+n < len(first) && j+n < len(p.words) && first[before.word+n] == p.words[j+n] {
				n++
			}
			runs = append(runs, sharedRun{passages[before.passage].place, p.place, strings.Join(p.words[j:j+n], " ")})
			j += n - 1
		}
	}
	return runs
}

var (
	linkTarget = regexp.MustCompile(`\]\([^)]*\)|(?m)^\[[^\]]+\]: .*$|<!--.*?-->`)
	aCommand   = regexp.MustCompile("`[^`\n]+ [^`]+`")
	goTest     = regexp.MustCompile("`\\w+\\.(?:Test|Fuzz)\\w+`")
	aWord      = regexp.MustCompile(`[\pL\pN_]+`)
	newItem    = regexp.MustCompile(`^\s*([-*]|\d+\.) |^#`)
)

// passagesOf takes a page apart, and leaves programs and the names of tests out.
func passagesOf(name, page string) (passages []passage) {
	fenced, text, start := false, "", 0
	end := func() {
		if words := aWord.FindAllString(strings.ToLower(aCommand.ReplaceAllString(goTest.ReplaceAllString(linkTarget.ReplaceAllString(text, "]"), ""), " `` ")), -1); len(words) > 0 {
			passages = append(passages, passage{fmt.Sprintf("%s:%d", name, start), words})
		}
		text = ""
	}
	number := 0
	for line := range strings.Lines(page) {
		number++
		line = strings.TrimRight(line, "\n")
		program := fenced || text == "" && strings.HasPrefix(line, "    ")
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced, program = !fenced, true
		}
		switch {
		case program, line == "":
			end()
		case strings.HasPrefix(line, "|"):
			end()
			for cell := range strings.SplitSeq(strings.ReplaceAll(line, `\|`, " "), "|") {
				text, start = cell, number
				end()
			}
		default:
			if newItem.MatchString(line) {
				end()
			}
			if text == "" {
				start = number
			}
			text += line + "\n"
		}
	}
	end()
	return passages
}
