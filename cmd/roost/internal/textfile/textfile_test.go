package textfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDecode(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "", "a=b\n": "a=b\n", "\ufeffa": "a", "\ufeff": "", "\xff\xfea\x00\n\x00": "a\n", "\xfe\xff\x00a\x20\xac": "a€",
		"\xff\xfea": "", "\xff\xfe": "", "a\ufeff": "a\ufeff", "\xff": "\xff",
	} {
		if got := string(Decode([]byte(text))); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := os.WriteFile(path, []byte("\ufeff12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	if text, err := Read(path, 8); err != nil || string(text) != "12345" {
		t.Errorf("%q, %v", text, err)
	}
	for name, want := range map[string]string{path: "has more than 7 bytes", dir: "is a directory", path + "x": "no such file"} {
		if _, err := Read(name, 7); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
}
