package browsers

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	lifecycle "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// webBrowser is a real browser. It takes a server's certificate as it is.
type webBrowser interface {
	// newPage opens a tab of its own, which the test's end closes.
	newPage(t *testing.T) webPage
}

// webPage is a page in a tab.
type webPage interface {
	visit(url string) error
	// eval runs an expression, waits for what it promises, and returns it, a string.
	eval(expression string) (string, error)
	// freeze does to the page what the browser does to one that nobody has looked at for long, or takes it back.
	freeze(frozen bool) error
	// offline tells the page that its network is gone, or back.
	offline(gone bool) error
	// screenshot returns a PNG of what can be seen.
	screenshot() ([]byte, error)
	close()
}

var errNotHere = errors.New("this browser can't be told to")

// browsers are those in which the client is tried. Each skips the test where it is not installed.
func browsers() map[string]func(*testing.T) webBrowser {
	return map[string]func(*testing.T) webBrowser{
		"Chromium": func(t *testing.T) webBrowser { return chromium{startBrowser(t)} },
		"Firefox":  func(t *testing.T) webBrowser { return startFirefox(t) },
	}
}

type chromium struct{ ctx context.Context }

func (c chromium) newPage(t *testing.T) webPage {
	ctx, cancel := chromedp.NewContext(c.ctx)
	t.Cleanup(cancel)
	return chromiumPage{ctx, cancel}
}

type chromiumPage struct {
	ctx    context.Context
	cancel func()
}

func (p chromiumPage) visit(url string) error { return chromedp.Do(p.ctx, chromedp.Navigate(url)) }

func (p chromiumPage) eval(expression string) (string, error) {
	return chromedp.Run(p.ctx, chromedp.Evaluate[string](expression, chromedp.EvalAwaitPromise))
}

func (p chromiumPage) freeze(frozen bool) error {
	state := lifecycle.SetWebLifecycleStateStateActive
	if frozen {
		state = lifecycle.SetWebLifecycleStateStateFrozen
	}
	return chromedp.Do(p.ctx, func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, lifecycle.SetWebLifecycleState, lifecycle.SetWebLifecycleStateParams{State: state})
		return chromedp.Void{}, err
	})
}

func (p chromiumPage) offline(gone bool) error {
	return chromedp.Do(p.ctx, func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, network.OverrideNetworkState, network.OverrideNetworkStateParams{Offline: gone})
		return chromedp.Void{}, err
	})
}

func (p chromiumPage) screenshot() ([]byte, error) {
	return chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
}

func (p chromiumPage) close() { p.cancel() }

// firefox speaks WebDriver BiDi, which Firefox does by itself: one command after the other.
type firefox struct {
	conn net.Conn
	last int // command
}

// startFirefox starts a headless Firefox, or skips the test where there is none.
func startFirefox(t *testing.T) *firefox {
	t.Helper()
	binary, err := exec.LookPath("firefox-esr")
	if err != nil {
		binary, err = exec.LookPath("firefox")
	}
	if err != nil {
		t.Skip("no Firefox is installed (apt-get install firefox-esr): not tried with it")
	}
	ctx, cancel := context.WithCancel(browserContext(t))
	command := exec.CommandContext(ctx, binary, "--headless", "--no-remote", "--remote-debugging-port=0", "--profile", profile(t), "about:blank")
	output, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatalf("starting %s: %v", binary, err)
	}
	f := &firefox{}
	t.Cleanup(func() {
		if f.conn != nil {
			_, _ = f.command("browser.close", map[string]any{})
		}
		cancel()
		_ = command.Wait()
	})
	lines := bufio.NewScanner(output)
	var address string
	for address == "" && lines.Scan() {
		_, address, _ = strings.Cut(lines.Text(), "BiDi listening on ")
	}
	go func() { _, _ = io.Copy(io.Discard, output) }()
	f.conn, _, _, err = ws.Dial(ctx, address+"/session")
	if err != nil {
		t.Fatalf("Firefox at %q: %v", address, err)
	}
	_, err = f.command("session.new", map[string]any{"capabilities": map[string]any{"alwaysMatch": map[string]any{"acceptInsecureCerts": true}}})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// command sends a command and returns its result.
func (f *firefox) command(method string, params map[string]any) (result json.RawMessage, err error) {
	f.last++
	text, err := json.Marshal(map[string]any{"id": f.last, "method": method, "params": params})
	if err != nil {
		return nil, err
	}
	if err := wsutil.WriteClientText(f.conn, text); err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	for {
		data, err := wsutil.ReadServerText(f.conn)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", method, err)
		}
		var answer struct {
			ID             int             `json:"id"`
			Result         json.RawMessage `json:"result"`
			Error, Message string
		}
		if err := json.Unmarshal(data, &answer); err != nil {
			return nil, fmt.Errorf("%s: %w", method, err)
		}
		if answer.ID != f.last {
			continue // an event
		}
		if answer.Error != "" {
			return nil, fmt.Errorf("%s: %s: %s", method, answer.Error, answer.Message)
		}
		return answer.Result, nil
	}
}

func (f *firefox) newPage(t *testing.T) webPage {
	t.Helper()
	result, err := f.command("browsingContext.create", map[string]any{"type": "tab"})
	var tab struct{ Context string }
	if err == nil {
		err = json.Unmarshal(result, &tab)
	}
	if err != nil {
		t.Fatal(err)
	}
	p := &firefoxPage{f, tab.Context, false}
	t.Cleanup(p.close)
	return p
}

type firefoxPage struct {
	*firefox
	context string
	closed  bool
}

func (p *firefoxPage) visit(url string) error {
	_, err := p.command("browsingContext.navigate", map[string]any{"context": p.context, "url": url, "wait": "complete"})
	return err
}

func (p *firefoxPage) eval(expression string) (string, error) {
	result, err := p.command("script.evaluate", map[string]any{
		"expression": expression, "target": map[string]any{"context": p.context}, "awaitPromise": true,
	})
	if err != nil {
		return "", err
	}
	var answer struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails struct{ Text string }
	}
	if err := json.Unmarshal(result, &answer); err != nil {
		return "", err
	}
	if answer.ExceptionDetails.Text != "" {
		return "", fmt.Errorf("%s: %s", expression, answer.ExceptionDetails.Text)
	}
	var value string
	_ = json.Unmarshal(answer.Result.Value, &value) // "" if it is none
	return value, nil
}

func (p *firefoxPage) freeze(bool) error { return errNotHere }

func (p *firefoxPage) offline(gone bool) error {
	_, err := p.eval(fmt.Sprintf(`dispatchEvent(new Event(%t ? "offline" : "online")); ""`, gone))
	return err
}

func (p *firefoxPage) screenshot() ([]byte, error) {
	result, err := p.command("browsingContext.captureScreenshot", map[string]any{"context": p.context})
	var answer struct{ Data []byte } // base64 on the wire
	if err == nil {
		err = json.Unmarshal(result, &answer)
	}
	return answer.Data, err
}

func (p *firefoxPage) close() {
	if p.closed {
		return
	}
	p.closed = true
	_, _ = p.command("browsingContext.close", map[string]any{"context": p.context})
}
