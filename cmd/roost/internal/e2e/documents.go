package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Block is a fenced block of a document.
type Block struct{ Language, Text string }

// Blocks returns the fenced blocks of a document that have a language, and those
// that begin with a command at a prompt, $, as "$".
func Blocks(document string) (all []Block) {
	var open *Block
	for line := range strings.Lines(document) {
		language, fence := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case fence && open != nil:
			if strings.HasPrefix(open.Text, "$ ") {
				open.Language = "$"
			}
			if open.Language != "" {
				all = append(all, *open)
			}
			open = nil
		case fence:
			open = &Block{Language: language}
		case open != nil:
			open.Text += line
		}
	}
	return all
}

// ReadDoc reads a file of the repository, by its path from the top.
func ReadDoc(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(Root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Document reads a page of docs, by its name.
func Document(t *testing.T, name string) string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(Root, "docs", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

// Section is the part of the page below a heading, up to the next one of the same rank or a higher one.
func Section(t *testing.T, page, heading string) string {
	t.Helper()
	_, rest, is := strings.Cut(page, "\n"+heading+"\n")
	if !is {
		t.Fatalf("no heading %q", heading)
	}
	rank, _, _ := strings.Cut(heading, " ")
	fenced := false
	var text strings.Builder
	for line := range strings.Lines(rest) {
		if strings.HasPrefix(line, "```") {
			fenced = !fenced
		}
		if level, _, is := strings.Cut(line, " "); is && !fenced && strings.Trim(level, "#") == "" && level != "" && len(level) <= len(rank) {
			break
		}
		text.WriteString(line)
	}
	return text.String()
}
