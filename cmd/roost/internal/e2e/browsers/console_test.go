package browsers

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
	"roost/docs"
)

// TestConsole looks at the console with a browser, as an operator would: numbers that move, a user looked up, Redis
// gone, the server gone.
func TestConsole(t *testing.T) {
	t.Parallel()
	browser := startBrowser(t)
	redis, server := e2e.Start(t, roosttest.Env{"WS_RESUME_WINDOW": "2m"})

	tab := openTab(t, browser, "about:blank")
	complaints := tab.complaints()
	tab.do(chromedp.Navigate("http://" + server.HTTP + "/"))
	tab.waitText("#status", "healthy")
	tab.waitText("#start", "Nothing is connected yet", "roost listen alice", "roost publish alice")
	tab.waitHead("Roost ", "icon.svg")
	alice := server.Connect("alice")
	server.Connect("bob")
	tab.waitText("#tiles", "Connections", "2", "of 10,000 at most; 2 users", "Notifications/s", "Latency p99", "Busiest loop", "Resume", "of 2 min", "0 resumed, 0 gaps")
	tab.waitHidden("#start")
	tab.waitText("#limits", "2 of 10,000", "Open files")

	tab.submit("#why", "#why-user", "alice")
	tab.waitText("#why-answer", "nothing was published for this user", "Connections to this server: 1", "127.0.0.1:")
	redis.Publish("user_noti:alice", "{\"type\":\"<b>bold</b>\u202egpj\",\"payload\":\"secret\"}")
	alice.WaitMessages(1)
	tab.waitText("#why-answer", "left for all connections that were open (1)", `<b>bold</b>\u202egpj`, "sent to 1 of 1")
	tab.submit("#why", "#why-user", "carol")
	tab.waitText("#why-answer", "no connection to this server", "Connections to this server: 0")
	tab.waitText("#tiles", "Notifications")
	if text := tab.text("body"); strings.Contains(text, "secret") || strings.Contains(text, "undefined") || strings.Contains(text, "NaN") {
		t.Errorf("the page says:\n%s", text)
	}

	redis.Kill()
	tab.waitText("#status", "degraded")
	tab.waitText("#troubles", "Redis is away since ", " UTC: ", "what is published meanwhile is lost", "What to do")
	tab.waitHead("Redis away · Roost ", "icon-bad.svg")
	redis.Restart()
	tab.waitText("#status", "healthy")
	tab.waitHidden("#troubles p")
	tab.waitHead("Roost ", "icon.svg")
	if got := complaints(); len(got) > 0 {
		t.Errorf("the browser complains: %q", got)
	}
	server.Signal(syscall.SIGTERM)
	tab.waitText("#troubles", "The server has not answered since ", "The numbers below are from then.")
	tab.waitText("#status", "no answer")
	tab.waitHead("No answer · Roost ", "icon-bad.svg")
	if seen := tab.evaluate("getComputedStyle(document.querySelector('#tiles')).opacity"); seen == "1" {
		t.Error("stale numbers look like new ones")
	}
}

// TestConsoleNoticesSilence has the server stopped with its connections open: no answer comes, and no error either.
func TestConsoleNoticesSilence(t *testing.T) {
	t.Parallel()
	browser := startBrowser(t)
	_, server := e2e.Start(t, nil)
	tab := openTab(t, browser, "about:blank")
	tab.do(chromedp.Navigate("http://" + server.HTTP + "/"))
	tab.waitText("#status", "healthy")
	server.Signal(syscall.SIGSTOP)
	t.Cleanup(func() { server.Signal(syscall.SIGCONT) })
	tab.waitText("#troubles", "The server has not answered since ")
	tab.waitText("#status", "no answer")
	server.Signal(syscall.SIGCONT)
	tab.waitText("#status", "healthy")
	tab.waitHead("Roost ", "icon.svg")
}

// TestConsoleForgivesAnAnswerCutOff gives the page half an answer, as where the network ends or the time is over: the next one counts.
func TestConsoleForgivesAnAnswerCutOff(t *testing.T) {
	t.Parallel()
	browser := startBrowser(t)
	_, server := e2e.Start(t, nil)
	tab := openTab(t, browser, "about:blank")
	tab.do(chromedp.Navigate("http://" + server.HTTP + "/"))
	tab.waitText("#status", "healthy")
	tab.evaluate(`{ window.whole = fetch; window.fetch = async () => new Response('{"at":'); "" }`)
	tab.waitText("#status", "no answer")
	tab.evaluate(`{ window.fetch = window.whole; "" }`)
	tab.waitText("#status", "healthy")
}

// TestConsoleNamesFullLimits fills the limit on connections, and the ring for clients that come back, which is full by design.
func TestConsoleNamesFullLimits(t *testing.T) {
	t.Parallel()
	browser := startBrowser(t)
	redis, server := e2e.Start(t, roosttest.Env{"WS_MAX_CONNECTIONS": "1", "WS_RESUME_WINDOW": "1h", "WS_RESUME_BYTES": "1048576"})
	server.Connect("alice")
	for range 40 {
		redis.Publish("user_noti:bob", `{"type":"n","payload":"`+strings.Repeat("x", 50_000)+`"}`)
	}
	tab := openTab(t, browser, "about:blank")
	tab.do(chromedp.Navigate("http://" + server.HTTP + "/"))
	tab.waitText("#troubles", "Connections: 1 of 1 (WS_MAX_CONNECTIONS).", "What to do", "not 1 h", "more is published than WS_RESUME_BYTES can keep")
	tab.waitText("#limits", ", full by design")
	tab.waitHead("Connections nearly full · Roost ", "icon-warn.svg")
	links := tab.evaluate(`[...document.querySelectorAll("#troubles a")].map((a) => a.getAttribute("href")).join(" ")`)
	if want := "docs/operations.md#roostnearlyfull docs/operations.md#roostresumeshort"; links != want {
		t.Errorf("what to do is at %q, want %q", links, want)
	}
}

// markdown is what is left where Markdown was not understood.
var markdown = regexp.MustCompile("^(```|\\||--|#{1,6} )|\\]\\([\\w#./-]+\\)|\\*\\*")

// TestConsoleShowsTheDocumentation lays out every page. Links between pages and to headings have to lead somewhere, those
// of the console too.
func TestConsoleShowsTheDocumentation(t *testing.T) {
	t.Parallel()
	browser := startBrowser(t)
	_, server := e2e.Start(t, nil)
	tab := openTab(t, browser, "about:blank")
	complaints := tab.complaints()
	pages, err := fs.Glob(docs.Files, "*.md")
	if err != nil || len(pages) < 10 {
		t.Fatalf("the pages are %q (%v)", pages, err)
	}
	targets := map[string]bool{}
	links := map[string]string{} // where to: where from
	for _, script := range []string{"console.js", "index.html"} {
		_, text := server.Get("/console/" + script)
		for _, m := range regexp.MustCompile(`help: "(\w+)"`).FindAllStringSubmatch(string(text), -1) {
			links["operations.md#"+strings.ToLower(m[1])] = script
		}
		for _, m := range regexp.MustCompile(`href="docs/([\w.#-]+)"`).FindAllStringSubmatch(string(text), -1) {
			links[m[1]] = script
		}
	}
	if len(links) < 5 {
		t.Errorf("the console links to %v", links)
	}
	for _, page := range pages {
		tab.do(chromedp.Navigate("http://" + server.HTTP + "/docs/" + page))
		targets[page] = true
		roosttest.WaitFor(t, page, func() bool { return tab.text("article h1") != "" })
		var found struct{ IDs, Links []string }
		err := json.Unmarshal([]byte(tab.evaluate(`JSON.stringify({
			IDs: [...document.querySelectorAll("article [id]")].map((e) => e.id),
			Links: [...document.querySelectorAll("article a")].map((a) => a.getAttribute("href")),
		})`)), &found)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range found.IDs {
			targets[page+"#"+id] = true
		}
		for _, link := range found.Links {
			if strings.HasPrefix(link, "#") {
				link = page + link
			}
			if !strings.Contains(link, "://") {
				links[link] = page
			}
		}
		for _, text := range tab.prose() {
			if markdown.MatchString(text) {
				t.Errorf("%s has Markdown left: %s", page, text)
			}
		}
	}
	for link, from := range links {
		if !targets[link] {
			t.Errorf("%s links to %s, which is not there", from, link)
		}
	}
	if got := complaints(); len(got) > 0 {
		t.Errorf("the browser complains: %q", got)
	}
}

// TestConsoleIsProtected wants nothing of it to be seen without the token, or where it is off.
func TestConsoleIsProtected(t *testing.T) {
	t.Parallel()
	const token = "0123456789abcdef"
	browser := startBrowser(t)
	_, server := e2e.Start(t, roosttest.Env{"HTTP_TOKEN": token})
	tab := openTab(t, browser, "about:blank")
	tab.do(chromedp.Navigate(fmt.Sprintf("http://me:%s@%s/", token, server.HTTP)))
	tab.waitText("#status", "healthy")
	for path, want := range map[string]int{"/": 401, "/console.json": 401, "/console/console.js": 401, "/docs/": 401, "/health": 200} {
		if code, _ := server.Get(path); code != want {
			t.Errorf("%s: %d without the token, want %d", path, code, want)
		}
	}
	_, off := e2e.Start(t, roosttest.Env{"HTTP_CONSOLE": "false"})
	if code, _ := off.Get("/"); code != 404 {
		t.Errorf("with HTTP_CONSOLE=false: %d", code)
	}
}

// TestConsoleOfTheDemo connects and publishes from the page, as somebody does who tries Roost out.
func TestConsoleOfTheDemo(t *testing.T) {
	t.Parallel()
	browser := startBrowser(t)
	demo := roosttest.Run(t, roosttest.Command{Args: []string{"demo"}, Env: roosttest.Env{"WS_PORT": "0", "HTTP_PORT": "0"}})
	url := e2e.WaitMatch(t, demo, `(?m)^  (http://127.0.0.1:\d+/)$`)[1]
	tab := openTab(t, browser, "about:blank")
	complaints := tab.complaints()
	tab.do(chromedp.Navigate(url))
	tab.waitText("#demo", "Not connected.")
	tab.click("#demo-connect")
	tab.waitText("#demo-state", "bob: open")
	e2e.WaitMatch(t, demo, `connected +.*user_id=bob`)
	tab.submit("#demo-form", "#demo-text", "grüße 😀")
	tab.waitText("#demo-log", `PUBLISH user_noti:bob {"type":"greeting","payload":{"text":"grüße 😀"}}`, `bob got {"type":"greeting"`)
	tab.submit("#why", "#why-user", "bob")
	tab.waitText("#why-answer", "Connections to this server: 1")
	tab.click("#demo-connect")
	tab.waitText("#demo-state", "closed")
	if got := complaints(); len(got) > 0 {
		t.Errorf("the browser complains: %q", got)
	}
}

// evaluate runs an expression in the page. Its value is a string.
func (tab tab) evaluate(expression string) string {
	tab.t.Helper()
	value, err := chromedp.Run(tab.ctx, chromedp.Evaluate[string](expression))
	if err != nil {
		tab.t.Fatalf("asking the page: %v", err)
	}
	return value
}

// prose is the text of a page of the documentation, without what is code.
func (tab tab) prose() (all []string) {
	tab.t.Helper()
	text := tab.evaluate(`{
		const copy = document.querySelector("article").cloneNode(true);
		copy.querySelectorAll("pre, code").forEach((e) => e.remove());
		JSON.stringify([...copy.querySelectorAll("p, li, td, h1, h2, h3")].map((e) => e.textContent));
	}`)
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		tab.t.Fatal(err)
	}
	return all
}

// waitHead waits until the page's title begins, and the address of its icon ends, like this.
func (tab tab) waitHead(title, icon string) {
	tab.t.Helper()
	roosttest.WaitFor(tab.t, "the title "+title+" and "+icon, func() bool {
		got := tab.evaluate(`document.title + "\n" + document.querySelector("link[rel=icon]").href`)
		return strings.HasPrefix(got, title) && strings.HasSuffix(got, "/"+icon)
	})
}

// waitHidden waits until a part of the page can't be seen.
func (tab tab) waitHidden(selector string) {
	tab.t.Helper()
	roosttest.WaitFor(tab.t, selector+" to go", func() bool { return tab.text(selector) == "" })
}

// do does things in the tab.
func (tab tab) do(steps ...chromedp.Action[chromedp.Void]) {
	tab.t.Helper()
	if err := chromedp.Do(tab.ctx, steps...); err != nil {
		tab.t.Fatal(err)
	}
}

// text is what a part of the page says to the eye: nothing while it is hidden.
func (tab tab) text(selector string) string {
	tab.t.Helper()
	text, err := chromedp.Run(tab.ctx, chromedp.Evaluate[string](fmt.Sprintf("((e) => e?.checkVisibility() ? e.innerText : '')(document.querySelector(%q))", selector)))
	if err != nil {
		tab.t.Fatalf("asking the page: %v", err)
	}
	return text
}

// waitText waits until a part of the page says all of it.
func (tab tab) waitText(selector string, all ...string) {
	tab.t.Helper()
	roosttest.WaitFor(tab.t, selector+" to say "+strings.Join(all, ", "), func() bool {
		text := tab.text(selector)
		for _, part := range all {
			if !strings.Contains(text, part) {
				return false
			}
		}
		return true
	})
}

// submit fills in a field and sends its form, as Enter does.
func (tab tab) submit(form, field, value string) {
	tab.t.Helper()
	script := fmt.Sprintf("document.querySelector(%q).value = %q; document.querySelector(%q).requestSubmit(); true", field, value, form)
	if _, err := chromedp.Run(tab.ctx, chromedp.Evaluate[bool](script)); err != nil {
		tab.t.Fatalf("submitting %s: %v", form, err)
	}
}

// click clicks, once that can be clicked: a form's button can't while an answer is on its way.
func (tab tab) click(selector string) {
	tab.t.Helper()
	script := fmt.Sprintf("{ const it = document.querySelector(%q), can = !it.disabled; it.click(); can }", selector)
	roosttest.WaitFor(tab.t, selector+" to take a click", func() bool {
		clicked, err := chromedp.Run(tab.ctx, chromedp.Evaluate[bool](script))
		if err != nil {
			tab.t.Fatalf("clicking %s: %v", selector, err)
		}
		return clicked
	})
}

// complaints collects what the browser says about the page's code and policy.
func (tab tab) complaints() func() []string {
	tab.t.Helper()
	var mu sync.Mutex
	var all []string
	err := chromedp.Listen(tab.ctx, func(ev any) {
		mu.Lock()
		defer mu.Unlock()
		switch ev := ev.(type) {
		case *runtime.EventExceptionThrown:
			all = append(all, fmt.Sprintf("%+v", ev.ExceptionDetails))
		case *log.EventEntryAdded:
			all = append(all, ev.Entry.Text)
		}
	})
	if err != nil {
		tab.t.Fatal(err)
	}
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), all...)
	}
}

// TestConsolePublishes opens the console with the token, publishes for a user and for everyone, and disconnects the user. Without the
// token the page says what it takes.
func TestConsolePublishes(t *testing.T) {
	t.Parallel()
	browser := startBrowser(t)
	const token = "0123456789abcdef"
	_, server := e2e.Start(t, roosttest.Env{"HTTP_TOKEN": token})
	alice := server.Connect("alice")
	tab := openTab(t, browser, "about:blank")
	complaints := tab.complaints()
	tab.do(chromedp.Navigate("http://operator:" + token + "@" + server.HTTP + "/"))
	tab.waitText("#status", "healthy")
	tab.waitText("#publish-card", "Publish", "Disconnect")
	tab.waitHidden("#publish-closed")
	tab.submit("#publish-form", "#publish-name", "alice")
	tab.waitText("#publish-answer", "Published, heard by 1 server.")
	tab.evaluate(`{ const to = document.querySelector("#publish-to"); to.value = "everyone"; to.dispatchEvent(new Event("change")); "" }`)
	tab.waitHidden("#publish-name")
	tab.click("#publish-form button")
	if messages := alice.WaitMessages(2); !strings.Contains(messages[1], `"greeting"`) {
		t.Errorf("alice got %q", messages)
	}
	tab.evaluate(`document.querySelector("#publish-payload").value = "{"`)
	tab.click("#publish-form button")
	tab.waitText("#publish-answer", "The payload is not JSON")
	tab.evaluate(`{ document.querySelector("#publish-payload").value = "null"; document.querySelector("#publish-type").value = "_mine"; "" }`)
	tab.click("#publish-form button")
	tab.waitText("#publish-answer", "Refused: ", "type_reserved")

	// A second click counts for five seconds, which a busy machine may take: for as long as it likes here.
	tab.evaluate(`{ const later = setTimeout; window.setTimeout = (f, ms, ...more) => ms === 5000 ? 0 : later(f, ms, ...more); "" }`)
	tab.submit("#disconnect-form", "#disconnect-user", "alice")
	tab.waitText("#disconnect-answer", "all connections of alice", "Click again")
	if alice.Ended() {
		t.Error("one click disconnects")
	}
	tab.click("#disconnect-form button")
	tab.waitText("#disconnect-answer", "Told to disconnect alice, heard by 1 server.")
	if code, _ := alice.WaitClose(); code != 4403 {
		t.Errorf("alice is closed with %d", code)
	}
	for _, complaint := range complaints() {
		if !strings.Contains(complaint, "422") { // the refused publication
			t.Errorf("the browser complains: %s", complaint)
		}
	}
}

// TestConsoleRanges chooses each range of the history: those that have no value yet say when there is one.
func TestConsoleRanges(t *testing.T) {
	t.Parallel()
	browser := startBrowser(t)
	_, server := e2e.Start(t, nil)
	tab := openTab(t, browser, "about:blank")
	complaints := tab.complaints()
	tab.do(chromedp.Navigate("http://" + server.HTTP + "/"))
	tab.waitText("#status", "healthy")
	tab.waitText("#loops", "Feed, which reads Redis", "Loop 0", "%")
	tab.waitText("#publish-closed", "HTTP_TOKEN")
	for label, says := range map[int]string{3: "every 4 min", 4: "every 28 min"} {
		tab.click(fmt.Sprintf("#ranges label:nth-of-type(%d)", label))
		tab.waitText("#charts", says)
	}
	tab.click("#ranges label:nth-of-type(1)")
	roosttest.WaitFor(t, "a line in the chart of the last minutes", func() bool {
		return tab.evaluate(`String(document.querySelectorAll("#charts .series").length > 0)`) == "true"
	})
	if got := complaints(); len(got) > 0 {
		t.Errorf("the browser complains: %q", got)
	}
}
