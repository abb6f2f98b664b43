package docs

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"roost/cmd/roost/internal/e2e"
)

// The walks of ARCHITECTURE.md are numbered lists of functions. Each step is called by the one before it, or by that of the
// step that "Back in N" names. "From …" begins at a caller that is no step.
var walkStep = regexp.MustCompile("(?m)^(\\d+)\\. (?:(Back in (\\d+)|From [^:`]+): )?`([\\w./-]+\\.go)`: `([\\w.]+)`")

func TestWalks(t *testing.T) {
	t.Parallel()
	page := e2e.ReadDoc(t, "ARCHITECTURE.md")
	for heading, least := range map[string]int{"Walk 1: a client connects": 15, "Walk 2: a notification arrives": 15, "Walk 3: a connection ends": 8, "Walk 4: the program is replaced": 15} {
		steps := walkStep.FindAllStringSubmatch(e2e.Section(t, page, "## "+heading), -1)
		if len(steps) < least {
			t.Errorf("%q has only %d steps: are they still read as they are written?", heading, len(steps))
		}
		for _, problem := range wrongSteps(steps, declared) {
			t.Errorf("%q, %s", heading, problem)
		}
	}
}

// wrongSteps says what is wrong with the steps of a walk. lookup returns the declaration of a function in a file, or nil.
func wrongSteps(steps [][]string, lookup func(file, name string) *ast.FuncDecl) (problems []string) {
	var decls []*ast.FuncDecl
	for i, step := range steps {
		number, from, back, file, name := step[1], step[2], step[3], step[4], step[5]
		decl := lookup(file, name)
		decls = append(decls, decl)
		if number != strconv.Itoa(i+1) {
			problems = append(problems, fmt.Sprintf("step %s should be %d", number, i+1))
		}
		if decl == nil {
			problems = append(problems, fmt.Sprintf("step %s: %s has no function %s", number, file, name))
			continue
		}
		if i == 0 || strings.HasPrefix(from, "From ") {
			continue
		}
		caller := i - 1
		if back != "" {
			n, _ := strconv.Atoi(back)
			caller = n - 1
		}
		if caller < 0 || caller >= i || decls[caller] != nil && !calls(decls[caller], decl.Name.Name) {
			problems = append(problems, fmt.Sprintf("step %s: step %d does not call %s", number, caller+1, name))
		}
	}
	return problems
}

// declared parses a file and returns the declaration of a function, "name", or of a method, "Type.name".
func declared(file, name string) *ast.FuncDecl {
	parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(e2e.Root, file), nil, parser.SkipObjectResolution)
	if err != nil {
		return nil
	}
	return find(parsed, name)
}

func find(file *ast.File, name string) *ast.FuncDecl {
	for _, d := range file.Decls {
		if d, ok := d.(*ast.FuncDecl); ok && qualified(d) == name {
			return d
		}
	}
	return nil
}

// qualified is a function's name, with its receiver's type before it.
func qualified(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return d.Name.Name
	}
	receiver := d.Recv.List[0].Type
	if pointer, ok := receiver.(*ast.StarExpr); ok {
		receiver = pointer.X
	}
	switch generic := receiver.(type) {
	case *ast.IndexExpr:
		receiver = generic.X
	case *ast.IndexListExpr:
		receiver = generic.X
	}
	return receiver.(*ast.Ident).Name + "." + d.Name.Name
}

// calls reports whether a function calls one of a name, in whatever it declares too.
func calls(in *ast.FuncDecl, name string) (found bool) {
	ast.Inspect(in.Body, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			switch fn := call.Fun.(type) {
			case *ast.Ident:
				found = found || fn.Name == name
			case *ast.SelectorExpr:
				found = found || fn.Sel.Name == name
			}
		}
		return !found
	})
	return found
}

func TestWrongSteps(t *testing.T) {
	t.Parallel()
	const source = "package x\n\nfunc (a *A) one() { a.two(); func() { three() }() }\n\nfunc (a *A) two() {}\n\nfunc three() {}\n\nfunc (g *G[K, V]) four() {}\n"
	parsed, err := parser.ParseFile(token.NewFileSet(), "x.go", source, 0)
	if err != nil {
		t.Fatal(err)
	}
	lookup := func(_, name string) *ast.FuncDecl { return find(parsed, name) }
	for walk, want := range map[string]string{
		"1. `x.go`: `A.one` does\n2. `x.go`: `A.two`\n3. Back in 1: `x.go`: `three`":            "",
		"1. `x.go`: `A.one`\n2. `x.go`: `A.two`\n3. `x.go`: `three`":                            "step 3: step 2 does not call three",
		"1. `x.go`: `A.one`\n2. `x.go`: `two`":                                                  "step 2: x.go has no function two",
		"1. `x.go`: `A.two`\n2. `x.go`: `A.one`":                                                "step 2: step 1 does not call A.one",
		"1. `x.go`: `A.two`\n2. From the feed: `x.go`: `A.one`\n3. `x.go`: `A.two`":             "",
		"1. `x.go`: `A.two`\n2. From the feed: `x.go`: `G.four`\n3. Back in 3: `x.go`: `A.two`": "step 3: step 3 does not call A.two",
		"1. `x.go`: `A.one`\n3. `x.go`: `A.two`":                                                "step 3 should be 2",
	} {
		got := strings.Join(wrongSteps(walkStep.FindAllStringSubmatch(walk, -1), lookup), "; ")
		if got != want {
			t.Errorf("%s:\ngot  %q\nwant %q", walk, got, want)
		}
	}
}
