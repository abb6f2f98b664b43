package report

import (
	"errors"
	"testing"
)

func TestReplaceBlock(t *testing.T) {
	t.Parallel()
	const page = "a\n<!-- x -->\nold\n<!-- /x -->\nb\n"
	got, err := ReplaceBlock(page, "x", "new\n")
	if want := "a\n<!-- x -->\n\nnew\n\n<!-- /x -->\nb\n"; err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if again, err := ReplaceBlock(got, "x", "new"); err != nil || again != got {
		t.Errorf("the second time %q, %v", again, err)
	}
	for _, bad := range []string{"", "<!-- x -->\n", "<!-- /x -->\n<!-- x -->\n", page + page} {
		if got, err := ReplaceBlock(bad, "x", "new"); !errors.Is(err, ErrMarkers) {
			t.Errorf("%q: %q, %v", bad, got, err)
		}
	}
}
