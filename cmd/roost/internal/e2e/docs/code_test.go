package docs

import (
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
	goFile = regexp.MustCompile("`((?:[\\w.-]+/)+[\\w.-]+\\.go)`")
	// namedInFile is a file and what is declared in it: `netpoll/deliver.go`: `conn.deliver`, `loop.deliverMail`.
	namedInFile = regexp.MustCompile("`((?:[\\w.-]+/)+[\\w.-]+\\.go)`: ((?:`[\\w.]+`(?:, )?)+)")
)

// Each file of the code that a page names is there, and so is each function or type that it is said to have. So the walks of
// ARCHITECTURE.md and the table of CONTRIBUTING.md lead somewhere.
func TestPagesNameTheCode(t *testing.T) {
	t.Parallel()
	texts := linkedFrom(t)
	files, names := 0, 0
	for _, page := range slices.Sorted(maps.Keys(texts)) {
		if strings.HasSuffix(page, "CHANGELOG.md") {
			continue // which is about the past, too
		}
		for _, m := range goFile.FindAllStringSubmatch(texts[page], -1) {
			files++
			if _, err := os.Stat(filepath.Join(e2e.Root, m[1])); err != nil {
				t.Errorf("%s names %s, which there is not", page, m[1])
			}
		}
		for _, m := range namedInFile.FindAllStringSubmatch(strings.ReplaceAll(texts[page], "\n", " "), -1) {
			source, err := os.ReadFile(filepath.Join(e2e.Root, m[1]))
			if err != nil {
				continue // said above
			}
			for _, name := range regexp.MustCompile("`([\\w.]+)`").FindAllStringSubmatch(m[2], -1) {
				names++
				if !declares(string(source), name[1]) {
					t.Errorf("%s says that %s has %s, which is in %q", page, m[1], name[1], declaredIn(t, name[1]))
				}
			}
		}
	}
	if files < 40 || names < 50 {
		t.Errorf("only %d files and %d names: are they still read as they are written?", files, names)
	}
}

func TestDeclares(t *testing.T) {
	t.Parallel()
	const source = "package x\n\n// conn is one.\ntype conn struct{}\n\nfunc (c *conn) deliver(n int) {}\n\nfunc Read[T any](b []byte) {}\n\nconst (\n\tReasonSlow Reason = iota // slow\n)\n\nvar names = 1\n"
	for name, want := range map[string]bool{
		"conn": true, "conn.deliver": true, "Read": true, "ReasonSlow": true, "names": true,
		"deliver": false, "loop.deliver": false, "slow": false, "b": false,
	} {
		if got := declares(source, name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// declaredIn are the files that declare a name.
func declaredIn(t *testing.T, name string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(e2e.Root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") {
			return err
		}
		source, err := os.ReadFile(path)
		if declares(string(source), name) {
			files = append(files, strings.TrimPrefix(path, e2e.Root+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// declares says whether a file, as gofmt lays it out, declares a function, a type, a constant, a variable, or Type.method.
func declares(source, name string) bool {
	declaration := `(?m)^(?:func|type|var|const) ` + regexp.QuoteMeta(name) + `\b|^\t` + regexp.QuoteMeta(name) + ` +(?:[\w.]+ )?=`
	if of, method, is := strings.Cut(name, "."); is {
		declaration = `(?m)^func \(\w+ \*?` + regexp.QuoteMeta(of) + `(?:\[\w+\])?\) ` + regexp.QuoteMeta(method) + `\b`
	}
	return regexp.MustCompile(declaration).MatchString(source)
}
