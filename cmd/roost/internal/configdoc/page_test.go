package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"roost/cmd/roost/internal/config"
)

func TestPageIsCurrent(t *testing.T) {
	t.Parallel()
	const path = "../../../../docs/configuration.md"
	var want bytes.Buffer
	if err := write(&want); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Error("docs/configuration.md is not what package config says now: run make docs, and commit it")
	}
}

func TestPageHasEveryVariableOnce(t *testing.T) {
	t.Parallel()
	var page bytes.Buffer
	if err := write(&page); err != nil {
		t.Fatal(err)
	}
	for _, row := range (config.Config{}).Describe() {
		if n := strings.Count(page.String(), "\n| `"+row.Name+"` |"); n != 1 {
			t.Errorf("%s has %d rows", row.Name, n)
		}
	}
}

func TestPrefixWithoutTitle(t *testing.T) {
	t.Parallel()
	_, err := sectionsOf([]config.Row{{Name: "WS_HOST"}, {Name: "NEW_THING"}})
	if err == nil || !strings.Contains(err.Error(), "NEW_THING") {
		t.Errorf("got %v", err)
	}
}

func TestCell(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"plain":           "plain",
		"a|b":             `a\|b`,
		"https://*.a":     `https://\*.a`,
		"<id> and `x` \\": "\\<id> and \\`x\\` \\\\",
	} {
		if got := cell(text); got != want {
			t.Errorf("cell(%q) = %q, want %q", text, got, want)
		}
	}
}
