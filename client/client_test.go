package client

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// tools is where scripts/client-deps.sh installs what npm has.
const tools = "../bin/client/node_modules"

// maxGzipped bounds the minified scripts, in bytes: docs/frontend.md promises 3 KB, and less than 1 KB for renewing.
var maxGzipped = map[string]int{"roost.min.js": 3 << 10, "renew.min.js": 1<<10 - 1}

// manifest is package.json.
type manifest struct {
	Version string   `json:"version"`
	Files   []string `json:"files"`
	Exports map[string]any
}

func readManifest(t *testing.T) (m manifest) {
	t.Helper()
	text, err := os.ReadFile("package.json")
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// install builds the package and returns a directory in whose node_modules it is, as npm would put it there, beside what
// scripts/client-deps.sh has installed.
func install(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	pack := filepath.Join(dir, "node_modules", "roost-client")
	if err := os.MkdirAll(pack, 0o700); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("../scripts/client-build.sh", filepath.Join(pack, "dist")).CombinedOutput(); err != nil {
		t.Fatalf("client-build.sh: %v\n%s", err, out)
	}
	for _, pattern := range append([]string{"package.json", "LICENSE", "README.md"}, readManifest(t).Files...) {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if text, err := os.ReadFile(file); err == nil { // and not a directory
				if err := os.WriteFile(filepath.Join(pack, file), text, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	others, _ := filepath.Glob(tools + "/*")
	for _, other := range others {
		absolute, err := filepath.Abs(other)
		if err == nil {
			err = os.Symlink(absolute, filepath.Join(dir, "node_modules", filepath.Base(other)))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// tool returns a program, or skips the test where it is not installed.
func tool(t *testing.T, name, how string) string {
	t.Helper()
	if installed, err := filepath.Abs(filepath.Join(tools, ".bin", name)); err == nil {
		if _, err := os.Stat(installed); err == nil {
			return installed
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("no %s is installed (%s): not tried with it", name, how)
	}
	return path
}

// slow skips a test that takes seconds where only quick ones are wanted.
func slow(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	t.Parallel()
}

// run runs a program in a directory; it has to end well.
func run(t *testing.T, dir, name string, arguments ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), name, arguments...)
	command.Dir = dir
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(name), strings.Join(arguments, " "), err, out)
	}
	return string(out)
}

// Go serves the file as it is.
func TestScript(t *testing.T) {
	t.Parallel()
	want, err := os.ReadFile("roost.js")
	if err != nil {
		t.Fatal(err)
	}
	if Script() != string(want) || !strings.Contains(Script(), "export function connect(") {
		t.Errorf("%d bytes, want the %d of roost.js", len(Script()), len(want))
	}
}

// TestRuntimes runs the tests that are in JavaScript, whose time is virtual.
func TestRuntimes(t *testing.T) {
	const patience = "600000" // ms, for one test: bun's five seconds are no virtual ones
	files, err := filepath.Glob("test/*.test.js")
	if err != nil || len(files) < 4 {
		t.Fatalf("the tests are %q (%v)", files, err)
	}
	for name, arguments := range map[string][]string{"node": {"--test"}, "bun": {"test", "--timeout", patience}, "deno": {"test", "--quiet", "--allow-read", "--no-check"}} {
		t.Run(name, func(t *testing.T) {
			if name != "node" {
				slow(t)
			}
			program := tool(t, name, map[bool]string{true: "apt-get install nodejs", false: "scripts/client-deps.sh"}[name == "node"])
			for _, file := range files {
				arguments = append(arguments, "./"+file) // bun takes another form for a pattern
			}
			out := run(t, ".", program, arguments...)
			if !regexp.MustCompile(`(?m)(^# pass [1-9]\d+|[1-9]\d+ pass)`).MatchString(out) {
				t.Errorf("no test was run:\n%s", out)
			}
		})
	}
}

// TestPackage looks at what npm would get.
func TestPackage(t *testing.T) {
	t.Parallel()
	dir := install(t)
	pack := filepath.Join(dir, "node_modules", "roost-client")
	m := readManifest(t)

	label := "/*! roost-client " + m.Version + ", (c) The Roost authors, MIT License */"
	files, _ := filepath.Glob(pack + "/*.*s")
	built, _ := filepath.Glob(pack + "/dist/*")
	for _, file := range append(files, built...) {
		text, err := os.ReadFile(file)
		if err != nil || !strings.HasPrefix(string(text), label) {
			t.Errorf("%s does not begin with %s (%v)", filepath.Base(file), label, err)
		}
	}
	licence, _ := os.ReadFile("../LICENSE")
	if copied, err := os.ReadFile("LICENSE"); err != nil || !bytes.Equal(copied, licence) {
		t.Errorf("client/LICENSE is not LICENSE (%v)", err)
	}

	var targets func(any)
	targets = func(v any) {
		switch v := v.(type) {
		case string:
			if _, err := os.Stat(filepath.Join(pack, v)); err != nil {
				t.Errorf("package.json: %v", err)
			}
		case map[string]any:
			for _, next := range v {
				targets(next)
			}
		}
	}
	for _, target := range m.Exports {
		targets(target)
	}

	for name, most := range maxGzipped {
		script, err := os.ReadFile(filepath.Join(pack, "dist", name))
		if err != nil {
			t.Fatal(err)
		}
		gzip := exec.Command("gzip", "-9") // as others measure it
		gzip.Stdin = bytes.NewReader(script)
		gzipped, err := gzip.Output()
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d bytes, %d gzipped", name, len(script), len(gzipped))
		if len(gzipped) > most {
			t.Errorf("%s has %d bytes gzipped, and %d are promised", name, len(gzipped), most)
		}
	}
}

// TestModules loads each part of the package in each of the ways in which it can be.
func TestModules(t *testing.T) {
	slow(t)
	node := tool(t, "node", "apt-get install nodejs")
	dir := install(t)
	parts := map[string]string{"roost-client": "connect", "roost-client/renew": "renewing", "roost-client/testing": "fakeRoost", "roost-client/svelte": "roostStore"}
	if _, err := os.Stat(tools + "/react"); err == nil {
		parts["roost-client/react"], parts["roost-client/vue"] = "useRoostState", "useRoost"
	}
	for part, member := range parts {
		for _, script := range []string{
			"const m = require('" + part + "'); console.log(typeof m." + member + ")",
			"import('" + part + "').then((m) => console.log(typeof m." + member + "))",
		} {
			if got := run(t, dir, node, "-e", script); got != "function\n" {
				t.Errorf("%s says %q", script, got)
			}
		}
	}
	script := `
		const { readFileSync } = require("node:fs"), { runInNewContext } = require("node:vm");
		const page = {};
		for (const file of ["roost", "renew"]) runInNewContext(readFileSync("node_modules/roost-client/dist/" + file + ".min.js", "utf8"), page);
		console.log(Object.keys(page.roost).join(), new page.roost.SessionOver("x").name);`
	if got := run(t, dir, node, "-e", script); got != "connect,SessionOver,renewing SessionOver\n" {
		t.Errorf("the script tag gives %q", got)
	}
	// On a server React and Vue render, and connect to nothing: Node before 22 has no WebSocket, so it would throw.
	if parts["roost-client/vue"] == "" {
		t.Skip("no React and Vue are installed (scripts/client-deps.sh): not tried on a server")
	}
	rendering := `
		import { createElement as h } from "react";
		import { renderToString } from "react-dom/server";
		import { RoostProvider, useRoost, useRoostState } from "roost-client/react";
		import { createSSRApp, h as v } from "vue";
		import { renderToString as renderVue } from "vue/server-renderer";
		import { useRoost as useVue } from "roost-client/vue";
		import { roostStore } from "roost-client/svelte";
		import { get } from "svelte/store";
		const options = { token() { throw new Error("asked for a token"); } };
		const Bell = () => { useRoost("n", () => {}); return h("p", null, useRoostState().state); };
		console.log(renderToString(h(RoostProvider, { url: "ws://x", ...options }, h(Bell))));
		const app = createSSRApp({ setup() { const { status } = useVue("ws://x", options); return () => v("p", status.value.state); } });
		console.log(await renderVue(app));
		console.log(get(roostStore("ws://x", options)).state);`
	if got := run(t, dir, node, "--input-type=module", "-e", rendering); got != "<p>connecting</p>\n<p>connecting</p>\nconnecting\n" {
		t.Errorf("rendered on a server: %q", got)
	}
}

// TestTypes has tsc look at the declarations, as a project that takes ES modules, one that takes CommonJS, and one with a
// bundler see them, and at what docs/frontend.md shows.
func TestTypes(t *testing.T) {
	slow(t)
	tsc := tool(t, "tsc", "scripts/client-deps.sh")
	dir := install(t)
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	types, err := os.ReadFile("test/types.ts")
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"types.mts", "types.cts"}
	write("types.mts", string(types))
	write("types.cts", string(types))
	page, err := os.ReadFile("../docs/frontend.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^```(tsx?)\n(.*?)^```").FindAllStringSubmatch(string(page), -1)
	if len(blocks) < 5 {
		t.Fatalf("docs/frontend.md has %d examples", len(blocks))
	}
	for i, block := range blocks {
		name := "example" + string(rune('a'+i)) + ".m" + block[1][:2]
		if block[1] == "tsx" {
			name = "example" + string(rune('a'+i)) + ".tsx"
		}
		write(name, prelude(block[2])+block[2])
		names = append(names, name)
	}
	write("package.json", `{"type":"module"}`)
	flags := []string{"--noEmit", "--strict", "--exactOptionalPropertyTypes", "--target", "es2022", "--lib", "es2022,dom,dom.asynciterable", "--jsx", "react-jsx", "--types", "node"}
	run(t, dir, tsc, append(append(flags, "--module", "nodenext"), names...)...)
	run(t, dir, tsc, append(append(flags, "--module", "esnext", "--moduleResolution", "bundler"), names...)...)
}

// prelude declares what an example leaves out.
func prelude(example string) (all string) {
	for name, declaration := range map[string]string{
		"fetchInbox": "declare function fetchInbox(context?: unknown): Promise<Item[]>;",
		"show(":      "declare function show(items: Item[]): void;",
		"Inbox":      "interface Item { id: string; text: string }",
		"useReducer": `import { useReducer } from "react";`,
		"render(":    "declare function render(roost: unknown): void;",
		"token={":    "declare function token(): Promise<string>;",
		"{ token":    "declare function token(): Promise<string>;",
	} {
		if strings.Contains(example, name) && !strings.Contains(all, declaration) {
			all += declaration + "\n"
		}
	}
	if strings.Contains(example, "connect<") {
		all = `import { connect } from "roost-client";` + "\n" + all
	}
	return all
}
