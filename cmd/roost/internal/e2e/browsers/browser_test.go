package browsers

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

// page opens a WebSocket with what browsers have, and writes down what happens to it.
const page = `<!doctype html><title>roost</title><script>
var events = [];
var socket = new WebSocket(%q);
socket.onopen = () => events.push("open");
socket.onmessage = e => events.push("message " + JSON.parse(e.data).payload.text);
socket.onclose = e => events.push("close " + e.code + " " + e.wasClean);
</script>`

func TestBrowser(t *testing.T) {
	t.Parallel()
	browser := startBrowser(t)
	redis := redistest.Start(t)
	pages := httptest.NewUnstartedServer(nil)
	origin := "http://" + pages.Listener.Addr().String()
	server := roosttest.Start(t, redis, roosttest.Env{"WS_ALLOWED_ORIGINS": origin, "WS_PING_INTERVAL": "100ms", "WS_PONG_WAIT": "5m"})
	url := server.URL(roosttest.Token(t, "alice"))
	pages.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintf(w, page, url) })
	pages.Start()
	t.Cleanup(pages.Close)

	tab := openTab(t, browser, origin)
	tab.wait("open")
	e2e.Notify(redis, "alice", `{"type":"greeting","payload":{"text":"grüße 😀"}}`)
	tab.wait("open", "message grüße 😀")
	roosttest.WaitFor(t, "pings, which the browser answers by itself", func() bool { return server.Metrics()["roost_pings_sent_total"] >= 5 })

	// The same page under another name is another origin.
	stranger := openTab(t, browser, strings.Replace(origin, "127.0.0.1", "localhost", 1))
	stranger.wait("close 1006 false")

	server.Signal(syscall.SIGTERM)
	tab.wait("open", "message grüße 😀", "close 1001 true")
	if code := server.Wait(); code != 0 {
		t.Errorf("ended with %d", code)
	}
	if got := len(server.Log.Find("disconnected", "reason", "shutdown")); got != 1 {
		t.Errorf("%d connections ended by the shutdown, want the browser's", got)
	}
}

// Firefox calls a connection clean only when the server ends TCP after both close frames.
func TestFirefoxSeesACleanClose(t *testing.T) {
	t.Parallel()
	tab := startFirefox(t).newPage(t)
	redis := redistest.Start(t)
	server := roosttest.Start(t, redis, nil)
	pages := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, page, server.URL(roosttest.Token(t, "alice")))
	}))
	t.Cleanup(pages.Close)
	if err := tab.visit(pages.URL); err != nil {
		t.Fatal(err)
	}
	happened := func(want string) {
		t.Helper()
		var got string
		roosttest.WaitFor(t, want, func() bool {
			got, _ = tab.eval("events.join()")
			return got == want
		})
	}
	happened("open")
	server.Signal(syscall.SIGTERM)
	happened("open,close 1001 true")
	if code := server.Wait(); code != 0 {
		t.Errorf("ended with %d", code)
	}
}

// startBrowser starts a headless Chromium, or skips the test where there is none.
func startBrowser(t *testing.T) context.Context {
	t.Helper()
	var binary string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "headless-shell"} {
		if path, err := exec.LookPath(name); err == nil {
			binary = path
			break
		}
	}
	if binary == "" {
		t.Skip("no Chromium or Chrome is installed (apt-get install chromium): not tried with a browser")
	}
	ctx, cancel := chromedp.NewExecAllocator(browserContext(t),
		chromedp.ExecPath(binary), chromedp.UserDataDir(profile(t)), chromedp.WSURLReadTimeout(3*roosttest.Limit),
		chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("ignore-certificate-errors", true))
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("starting %s: %v", binary, err)
	}
	return ctx
}

// profile is a directory for a browser, which is gone when the test ends. Some of the browser's processes outlive the first one for a
// moment, and write there meanwhile.
func profile(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "browser")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		roosttest.WaitFor(t, "the browser's files to be gone", func() bool { return os.RemoveAll(dir) == nil })
	})
	return dir
}

// browserContext lasts for as long as the test may: a browser runs many subtests, one after another.
func browserContext(t *testing.T) context.Context {
	deadline, ok := t.Deadline()
	if !ok {
		deadline = time.Now().Add(time.Hour)
	}
	ctx, cancel := context.WithDeadline(context.Background(), deadline.Add(-10*time.Second)) // so that the test can say where it hung
	t.Cleanup(cancel)
	return ctx
}

// tab is a page in the browser.
type tab struct {
	t   *testing.T
	ctx context.Context
}

func openTab(t *testing.T, browser context.Context, url string) tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx, chromedp.Navigate(url)); err != nil {
		t.Fatalf("opening %s: %v", url, err)
	}
	return tab{t, ctx}
}

// wait waits until this is all that has happened.
func (tab tab) wait(events ...string) {
	tab.t.Helper()
	var got []string
	roosttest.WaitFor(tab.t, strings.Join(events, ", "), func() bool {
		got = tab.events()
		return len(got) >= len(events)
	})
	if strings.Join(got, ", ") != strings.Join(events, ", ") {
		tab.t.Fatalf("the page saw %q, want %q", got, events)
	}
}

// events is all that has happened.
func (tab tab) events() []string {
	tab.t.Helper()
	got, err := chromedp.Run(tab.ctx, chromedp.Evaluate[[]string]("events"))
	if err != nil {
		tab.t.Fatalf("asking the page: %v", err)
	}
	return got
}
