package browsers

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

// frameworkApps are pages that count greetings and show the state, with a component that #toggle takes away and brings back.
var frameworkApps = map[string]string{
	"React": `
		import { StrictMode, createElement as h, useState } from "react";
		import { createRoot } from "react-dom/client";
		import { RoostProvider, useRoost, useRoostState } from "roost-client/react";
		function Bell() {
			const [count, setCount] = useState(0);
			useRoost("greeting", () => setCount(count + 1)); // the latest function counts
			return h("p", null, count + " new, " + useRoostState().state);
		}
		function App() {
			const [shown, show] = useState(true);
			return h("div", null, h("button", { id: "toggle", onClick: () => show(!shown) }),
				shown && h(RoostProvider, { url, token: () => token(), sync: () => sync() }, h(Bell), h(Bell)));
		}
		createRoot(document.querySelector("#app")).render(h(StrictMode, null, h(App)));`,
	"Vue": `
		import { createApp, h, ref } from "vue";
		import { useRoost } from "roost-client/vue";
		const Bell = { setup() {
			const { on, status } = useRoost();
			const count = ref(0);
			on("greeting", () => count.value++);
			return () => h("p", count.value + " new, " + status.value.state);
		} };
		const Bells = { setup() { useRoost(url, { token, sync }); return () => [h(Bell), h(Bell)]; } };
		createApp({ setup() {
			const shown = ref(true);
			return () => [h("button", { id: "toggle", onClick: () => { shown.value = !shown.value; } }), shown.value && h(Bells)];
		} }).mount("#app");`,
	"Svelte": `
		import { mount } from "svelte";
		import App from "./App.svelte.js";
		import { roostStore } from "roost-client/svelte";
		mount(App, { target: document.querySelector("#app"), props: { roost: roostStore(url, { token, sync }) } });`,
}

const svelteApp = `<script>
	import Bell from "./Bell.svelte.js";
	let { roost } = $props();
	let shown = $state(true);
</script>
<button id="toggle" onclick={() => { shown = !shown; }}></button>
{#if shown}<Bell {roost} /><Bell {roost} />{/if}`

const svelteBell = `<script>
	import { onMount } from "svelte";
	let { roost } = $props();
	let count = $state(0);
	onMount(() => roost.on("greeting", () => count++));
</script>
<p>{count} new, {$roost.state}</p>`

// TestClientFrameworks runs the hooks in Chromium: one connection for all components, gone with the last of them.
func TestClientFrameworks(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	t.Parallel()
	modules, _ := filepath.Abs(e2e.Root + "/bin/client/node_modules")
	if _, err := os.Stat(modules + "/svelte"); err != nil {
		t.Skip("no React, Vue and Svelte are installed (scripts/client-deps.sh): their hooks are not tried")
	}
	browser := chromium{startBrowser(t)}
	for name, app := range frameworkApps {
		t.Run(name, func(t *testing.T) {
			s := &site{script: bundleApp(t, modules, name, app), page: `<!doctype html><div id="app"></div><script>
				const token = async () => (await fetch("/token", { method: "POST" })).text();
				let syncs = 0;
				const sync = () => { syncs++; };
				const url = "ws://localhost:8081/ws";
			</script><script src="/app.js"></script>`}
			s.start(t, browser)
			s.main.shows("0 new, open|0 new, open")
			s.server.WaitMetric("roost_connections", 1)
			for n := range 2 {
				e2e.Notify(s.redis, "alice", `{"type":"greeting","payload":{"text":"hello"}}`)
				s.main.shows(fmt.Sprintf("%d new, open|%d new, open", n+1, n+1))
			}
			s.main.run(`document.querySelector("#toggle").click()`)
			s.server.WaitMetric("roost_connections", 0)
			s.main.run(`document.querySelector("#toggle").click()`)
			s.main.shows("0 new, open|0 new, open")
			s.server.WaitMetric("roost_connections", 1)
			if n := s.tokens.Load(); n != 2 {
				t.Errorf("%d tokens were asked for, want 2", n)
			}
			if syncs, err := s.main.eval("String(syncs)"); err != nil || syncs != "2" {
				t.Errorf("sync was called %s times (%v), want 2", syncs, err)
			}
			s.relay.TurnTo("")
			s.relay.Cut("")
			s.main.shows("0 new, waiting|0 new, waiting")
		})
	}
}

// TestQuickstartInReact shows a notification with the component of docs/quickstart.md, into which only the token and the server's address are put.
func TestQuickstartInReact(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a browser")
	}
	t.Parallel()
	modules, _ := filepath.Abs(e2e.Root + "/bin/client/node_modules")
	if _, err := os.Stat(modules + "/react"); err != nil {
		t.Skip("no React is installed (scripts/client-deps.sh): the component of docs/quickstart.md is not tried")
	}
	blocks := e2e.Blocks(e2e.ReadDoc(t, "docs/quickstart.md"))
	component := blocks[slices.IndexFunc(blocks, func(b e2e.Block) bool { return b.Language == "jsx" })].Text
	app := strings.NewReplacer(`"TOKEN"`, `fetch("/token", { method: "POST" }).then((answer) => answer.text())`, `"ws://localhost:8081/ws"`, "{address}").Replace(component) + `
		import { createRoot } from "react-dom/client";
		createRoot(document.querySelector("#app")).render(<App />);`
	s := &site{script: bundleApp(t, modules, "React", app), page: `<!doctype html><div id="app"></div><script>const address = "ws://localhost:8081/ws";</script><script src="/app.js"></script>`}
	s.start(t, chromium{startBrowser(t)})
	s.main.shows("nothing yet")
	s.server.WaitMetric("roost_connections", 1)
	e2e.Notify(s.redis, "alice", `{"type":"greeting","payload":{"text":"hello"}}`)
	s.main.shows("hello")
}

// shows waits until the page's paragraphs are these.
func (tab *clientTab) shows(want string) {
	tab.t.Helper()
	roosttest.WaitFor(tab.t, want, func() bool {
		got, err := tab.eval(`[...document.querySelectorAll("p")].map((p) => p.textContent).join("|")`)
		return err == nil && got == want
	})
}

// bundleApp makes one script of an app and what it imports.
func bundleApp(t *testing.T, modules, name, app string) string {
	t.Helper()
	dir := t.TempDir()
	client, _ := filepath.Abs(e2e.Root + "/client")
	files := map[string]string{"app.js": app}
	if name == "Svelte" {
		files["App.svelte"], files["Bell.svelte"] = svelteApp, svelteBell
		files["compile.mjs"] = `
			import { readFileSync, writeFileSync } from "node:fs";
			import { compile } from "svelte/compiler";
			for (const name of ["App.svelte", "Bell.svelte"]) writeFileSync(name + ".js", compile(readFileSync(name, "utf8"), { filename: name }).js.code);`
	}
	if err := os.MkdirAll(dir+"/node_modules", 0o700); err != nil {
		t.Fatal(err)
	}
	for target, link := range map[string]string{client: "roost-client", modules + "/svelte": "svelte"} {
		if err := os.Symlink(target, filepath.Join(dir, "node_modules", link)); err != nil {
			t.Fatal(err)
		}
	}
	for file, text := range files {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if name == "Svelte" {
		node, err := clientTool("node")
		if err != nil {
			t.Skip(err)
		}
		command := exec.CommandContext(t.Context(), node, "compile.mjs")
		command.Dir = dir
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("svelte: %v\n%s", err, out)
		}
	}
	command := exec.CommandContext(t.Context(), "go", "tool", "esbuild", "--bundle", "--log-level=warning", "--loader:.js=jsx", "--jsx=automatic", "--define:process.env.NODE_ENV=\"development\"", dir+"/app.js")
	command.Env = append(os.Environ(), "NODE_PATH="+modules)
	var problems strings.Builder
	command.Stderr = &problems
	script, err := command.Output()
	if err != nil {
		t.Fatalf("esbuild: %v\n%s", err, problems.String())
	}
	return string(script)
}

// serveScript answers with a script.
func serveScript(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		_, _ = fmt.Fprint(w, text)
	}
}
