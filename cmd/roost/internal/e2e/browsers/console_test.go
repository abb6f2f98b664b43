package browsers

import (
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

// TestConsole looks at the console with a browser, as an operator would: numbers that move, a user looked up, Redis
// gone, the server gone.
func TestConsole(t *testing.T) {
	t.Parallel()
	browser := startBrowser(t)
	redis, server := e2e.Start(t, nil)
	alice := server.Connect("alice")
	server.Connect("bob")

	tab := openTab(t, browser, "about:blank")
	complaints := tab.complaints()
	tab.do(chromedp.Navigate("http://" + server.HTTP + "/"))
	tab.waitText("#status", "healthy")
	tab.waitText("#tiles", "Connections", "2", "of 10,000 at most; 2 users", "Busy")
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
	tab.waitText("#trouble", "Redis:")
	if got := complaints(); len(got) > 0 {
		t.Errorf("the browser complains: %q", got)
	}
	server.Signal(syscall.SIGTERM)
	tab.waitText("#trouble", "The server does not answer")
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
	for path, want := range map[string]int{"/": 401, "/console.json": 401, "/console/console.js": 401, "/health": 200} {
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

// click clicks.
func (tab tab) click(selector string) {
	tab.t.Helper()
	if _, err := chromedp.Run(tab.ctx, chromedp.Evaluate[bool](fmt.Sprintf("document.querySelector(%q).click(); true", selector))); err != nil {
		tab.t.Fatalf("clicking %s: %v", selector, err)
	}
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
