package version

import "testing"

func TestArchivedCommit(t *testing.T) {
	t.Parallel()
	const hash = "0123456789abcdef0123456789abcdef01234567"
	for text, want := range map[string]string{
		hash + " 1790000000\n": hash, "$Format:%H %ct$\n": "", "": "", "abc 1": "", hash[1:] + "g 1": "",
	} {
		if got := archivedCommit(text); got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

func TestText(t *testing.T) {
	defer func() { release, commit = "", "" }()
	release, commit = "v1.2.3", "0123456789abcdef0123456789abcdef01234567"
	if got, want := Text(), "v1.2.3 (commit "+commit+")"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	release = "v0.0.0-20261129000000-0123456789ab" // as Go names a commit
	if got := Text(); got != release {
		t.Errorf("%q, want %q", got, release)
	}
}
