package docs

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"roost/cmd/roost/internal/e2e"
)

// arrows are the packages of the module that a package may import; a name stands for those below it, too. Packages of
// cmd/roost may import everything, and a package may import those below its own directory. Packages in internal import none
// of the module.
var arrows = map[string][]string{
	"internal":          nil,
	"client":            nil,
	"docs":              nil,
	"wsproto":           {"internal"}, // the frames; those below it are listed by themselves
	"wsproto/auth":      {"internal"},
	"wsproto/handshake": {"internal", "wsproto", "wsproto/auth"},
	"hub":               {"internal", "wsproto"},
	"netpoll":           {"internal", "wsproto", "wsproto/auth", "wsproto/handshake", "hub"},
	"redisfeed":         {"internal"},
	"httpapi":           {"internal", "client"},
}

// importers are the only packages, with those below them, that import a library.
var importers = map[string][]string{
	"github.com/gobwas/ws":            {"wsproto"},
	"github.com/golang-jwt/jwt":       {"wsproto/auth", "cmd/roost"}, // cmd/roost signs one for roost token
	"github.com/redis/go-redis":       {"redisfeed", "cmd/roost/internal/e2e"},
	"github.com/prometheus":           {"httpapi"},
	"github.com/kelseyhightower":      {"cmd/roost/internal/config"},
	"github.com/coder/websocket":      {"cmd/roost"},
	"github.com/alecthomas/kong":      {"cmd/roost"},
	"charm.land/bubbletea":            {"cmd/roost/internal/top"},
	"golang.org/x/crypto":             {"netpoll/internal/tlsrecord", "cmd/roost/internal/acme"},
	"golang.org/x/sys/unix":           {"netpoll", "redisfeed", "httpapi", "cmd/roost"},
	"github.com/cloudflare/tableflip": {"cmd/roost/internal/app"},
}

// pure are the packages that do no I/O, and effects what they import none of.
var (
	pure    = []string{"wsproto", "hub", "internal"}
	effects = []string{"net", "net/http", "os", "os/exec", "syscall", "golang.org/x/sys/unix"}
)

// imports are those of each package of the module, without its tests. They are read in this process, so that go test knows
// when its result is old.
func imports(t *testing.T) map[string][]string {
	t.Helper()
	all := make(map[string][]string)
	for _, top := range []string{"client", "cmd", "docs", "httpapi", "hub", "internal", "netpoll", "redisfeed", "wsproto"} {
		err := filepath.WalkDir(filepath.Join(e2e.Root, top), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
			if err != nil {
				return err
			}
			pkg, err := filepath.Rel(e2e.Root, filepath.Dir(path))
			for _, imported := range file.Imports {
				all[pkg] = append(all[pkg], strings.Trim(imported.Path.Value, `"`))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(all) < 30 {
		t.Fatalf("there are %d packages", len(all))
	}
	return all
}

// within reports whether a package is dir, or below it.
func within(pkg, dir string) bool { return pkg == dir || strings.HasPrefix(pkg, dir+"/") }

// layer is the longest name in arrows that a package is within.
func layer(pkg string) (found string) {
	for name := range arrows {
		if within(pkg, name) && len(name) > len(found) {
			found = name
		}
	}
	return found
}

// Arrows between packages never point back, as ARCHITECTURE.md draws them.
func TestArrows(t *testing.T) {
	t.Parallel()
	for pkg, imported := range imports(t) {
		if within(pkg, "cmd") || within(pkg, "scripts") {
			continue
		}
		own := layer(pkg)
		if own == "" {
			t.Errorf("%s is a package that this test does not know", pkg)
			continue
		}
		for _, path := range imported {
			other, ours := strings.CutPrefix(path, "roost/")
			if !ours {
				continue
			}
			same := layer(other) == own && own != "internal"
			if !same && !slices.Contains(arrows[own], layer(other)) {
				t.Errorf("%s imports %s: %s may import %q of this module", pkg, other, own, arrows[own])
			}
		}
	}
}

// Each library has one package that imports it, so that it can be replaced there; and what does no I/O can do none.
func TestImporters(t *testing.T) {
	t.Parallel()
	used := make(map[string]bool)
	for pkg, imported := range imports(t) {
		for _, path := range imported {
			for library, owners := range importers {
				if !within(path, library) {
					continue
				}
				used[library] = true
				if !slices.ContainsFunc(owners, func(owner string) bool { return within(pkg, owner) }) {
					t.Errorf("%s imports %s: only %q do", pkg, path, owners)
				}
			}
			if slices.Contains(effects, path) && slices.ContainsFunc(pure, func(dir string) bool { return within(pkg, dir) }) {
				t.Errorf("%s imports %s, and does no I/O", pkg, path)
			}
		}
	}
	for library := range importers {
		if !used[library] {
			t.Errorf("nothing imports %s", library)
		}
	}
}
