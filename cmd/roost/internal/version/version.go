// Package version says which version of the program this is: what a release was stamped with, what the Go linker recorded of a
// git checkout, or what git archive wrote into a tarball.
package version

import (
	_ "embed"
	"runtime/debug"
	"strings"
)

// release and commit are stamped by scripts/release.sh, and empty otherwise.
var release, commit string

// archived is the commit and its time in a tarball of git archive, and a placeholder in a checkout.
//
//go:embed commit.txt
var archived string

// Number is a release's tag, or a revision, or "dev" where nothing is known.
func Number() string {
	if release != "" {
		return release
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	if r := Revision(); r != "" {
		return r[:min(12, len(r))]
	}
	return "dev"
}

// Revision is the source's commit, "" where nothing is known.
func Revision() string {
	if commit != "" {
		return commit
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			if setting.Key == "vcs.revision" {
				return setting.Value
			}
		}
	}
	return archivedCommit(archived)
}

// archivedCommit is the commit in what git archive wrote, "" for the placeholder.
func archivedCommit(text string) string {
	hash, _, _ := strings.Cut(text, " ")
	if len(hash) != 40 || strings.Trim(hash, "0123456789abcdef") != "" {
		return ""
	}
	return hash
}

// Text is the number, and the commit where the number doesn't say it.
func Text() string {
	number, revision := Number(), Revision()
	if revision == "" || strings.Contains(number, revision[:12]) {
		return number
	}
	return number + " (commit " + revision + ")"
}
