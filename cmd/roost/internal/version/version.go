// Package version says which version of the program this is, from what the Go linker recorded.
package version

import "runtime/debug"

// Number is a release's tag, or a revision, or "dev" for a build outside of version control.
func Number() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "dev"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	if r := Revision(); r != "" {
		return r[:min(12, len(r))]
	}
	return "dev"
}

// Revision is the source's, "" for a build outside of version control.
func Revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			return setting.Value
		}
	}
	return ""
}
