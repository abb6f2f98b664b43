package main

import (
	"context"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"roost/cmd/roost/internal/roosttest"
)

// TestClient has a browser run the client that docs/clients.md gives to pages.
func TestClient(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	t.Parallel()
	browser := startBrowser(t)
	tests := map[string]func(*testing.T, context.Context){
		"delivers":                        clientDelivers,
		"comes back after a restart":      clientComesBack,
		"replaces an expired token":       clientReplacesToken,
		"begins anew":                     clientBeginsAnew,
		"does not insist on a bad token":  clientHasBadToken,
		"stops when it is shown the door": clientIsShownTheDoor,
		"notices a dead connection":       clientNoticesDeath,
		"looks when it is woken":          clientIsWoken,
		"waits longer each time":          clientBacksOff,
		"closes for good":                 clientCloses,
		"does as the table says":          clientObeysTheTable,
		"is used as documented":           clientIsUsedAsDocumented,
		"works in a worker":               clientWorksInAWorker,
		"gives up an attempt":             clientGivesUpAnAttempt,
		"gives up on a token":             clientGivesUpOnToken,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test(t, browser) }) // one after another: the browser is the whole test's
	}
}

func clientDelivers(t *testing.T, browser context.Context) {
	s := openSite(t, browser, &site{env: roosttest.Env{"WS_GAP_NOTICE": "true"}}, nil,
		"WebSocket = class extends WebSocket { constructor(...all) { super(...all); window.socket = this; } }")
	s.wait("connecting", "open", "refetch")
	notify(s.redis, "alice", `{"type":"greeting","payload":"grüße 😀"}`)
	s.wait("connecting", "open", "refetch", "message grüße 😀")
	s.run(`socket.onmessage({ data: '{"type":"_later","payload":"of a later Roost"}' })`) // which no backend can publish
	notify(s.redis, "alice", `{"type":"greeting","payload":"2"}`)
	s.wait("connecting", "open", "refetch", "message grüße 😀", "message 2")
	s.redis.Kill()
	s.server.WaitLine("redis link lost")
	s.redis.Restart()
	s.wait("connecting", "open", "refetch", "message grüße 😀", "message 2", "gap redis true")
}

func clientComesBack(t *testing.T, browser context.Context) {
	s := openSite(t, browser, &site{}, options{"baseDelay": 20, "maxDelay": 100}, "")
	s.wait("connecting", "open", "refetch")
	s.relay.turnTo("") // nothing listens until the next server does
	s.server.Stop()
	s.waitLast("connecting", "waiting 1006 ", "connecting", "waiting 1006 ")
	next := roosttest.Start(t, s.redis, nil)
	s.relay.turnTo(next.WS)
	all := s.waitLast("connecting", "open", "refetch")
	if !strings.HasPrefix(all[3], "waiting 1001 ") {
		t.Errorf("the end is %q, want 1001", all[3])
	}
	notify(s.redis, "alice", `{"type":"n","payload":1}`)
	s.waitLast("refetch", "message 1")
	if n := int(s.tokens.Load()); n < 4 || n != count(s.events(), "connecting") {
		t.Errorf("%d tokens were asked for in %d attempts", n, count(s.events(), "connecting"))
	}
}

// expired is a token that was good.
func expired(t *testing.T) string {
	return roosttest.Sign(t, "HS256", roosttest.Secret, roosttest.Claims{"sub": "alice", "exp": 1_000_000_000})
}

func clientReplacesToken(t *testing.T, browser context.Context) {
	s := &site{env: roosttest.Env{"WS_REJECT_AFTER_UPGRADE": "true"}}
	s.token = func() string {
		if s.tokens.Load() == 1 {
			return expired(t)
		}
		return roosttest.Token(t, "alice")
	}
	openSite(t, browser, s, options{"baseDelay": never, "maxDelay": never}, "") // so that it is at once
	replaced := []string{"connecting", "waiting 4401 token expired", "connecting", "open", "refetch"}
	s.wait(replaced...)
	// As WS_CLOSE_ON_EXPIRY does. It is too soon for another time at once.
	s.redis.Publish("user_ctl:alice", `{"disconnect":{"code":4401,"reason":"token expired"}}`)
	ended := append(replaced, "waiting 4401 token expired")
	s.wait(ended...)
	s.stays(ended)
}

// A connection that held for long enough lets the next failure be the first again.
func clientBeginsAnew(t *testing.T, browser context.Context) {
	s := openSite(t, browser, &site{}, options{"baseDelay": never, "maxDelay": never, "stableAfter": 0}, "")
	want := []string{"connecting", "open", "refetch"}
	s.wait(want...)
	for range 3 {
		s.redis.Publish("user_ctl:alice", `{"disconnect":{"code":4401,"reason":"token expired"}}`)
		want = append(want, "waiting 4401 token expired", "connecting", "open", "refetch")
		s.wait(want...)
	}
}

func clientHasBadToken(t *testing.T, browser context.Context) {
	s := &site{env: roosttest.Env{"WS_REJECT_AFTER_UPGRADE": "true"}}
	s.token = func() string { return expired(t) }
	openSite(t, browser, s, options{"baseDelay": 1000, "maxDelay": never}, "window.hurry = true; Math.random = () => 0.5")
	roosttest.WaitFor(t, "some attempts", func() bool { return s.tokens.Load() >= 6 })
	want := []string{"connecting", "waiting 4401 token expired"}
	if all := s.events()[:8]; !slices.Equal(all, slices.Concat(want, want, want, want)) {
		t.Errorf("the page saw %q", all)
	}
	s.wantDelays(0, 1000, 2000, 4000)
}

func clientIsShownTheDoor(t *testing.T, browser context.Context) {
	s := openSite(t, browser, &site{}, options{"baseDelay": 1, "maxDelay": 1}, "")
	s.wait("connecting", "open", "refetch")
	s.redis.Publish("user_ctl:alice", `{"disconnect":{"code":4403,"reason":"signed out"}}`)
	ended := []string{"connecting", "open", "refetch", "closed 4403 signed out"}
	s.wait(ended...)
	s.run(`dispatchEvent(new Event("online")); document.dispatchEvent(new Event("visibilitychange")); roost.close()`)
	s.stays(ended)
}

func clientNoticesDeath(t *testing.T, browser context.Context) {
	s := openSite(t, browser, &site{}, options{"baseDelay": 20, "pingAfter": 150, "pongWithin": 3000}, "")
	s.wait("connecting", "open", "refetch")
	roosttest.WaitFor(t, "answered pings", func() bool { return s.server.Metrics()["roost_client_pings_total"] >= 5 })
	s.wait("connecting", "open", "refetch") // one that lives stays, and the answers are no notifications
	s.relay.die()
	again := []string{"connecting", "open", "refetch", "waiting 1006 no answer to a ping", "connecting", "open", "refetch"}
	s.wait(again...)
	s.relay.bury() // the dead one's close event comes now, and is nobody's concern
	s.stays(again)
	notify(s.redis, "alice", `{"type":"n","payload":1}`)
	s.wait(append(again, "message 1")...)
	s.wantHeld(1, 3)
}

func clientIsWoken(t *testing.T, browser context.Context) {
	o := options{"baseDelay": never, "maxDelay": never, "pingAfter": never, "pongWithin": 500}
	s := openSite(t, browser, &site{}, o, "Math.random = () => 0.001") // of never and of a second
	s.wait("connecting", "open", "refetch")
	s.relay.die()
	s.run(`document.dispatchEvent(new Event("visibilitychange"))`)
	once := []string{"connecting", "open", "refetch", "waiting 1006 no answer to a ping"}
	s.wait(once...)
	s.run(`dispatchEvent(new Event("offline"))`)
	s.stays(once)
	s.run(`dispatchEvent(new Event("online"))`)
	s.wait(append(once, "connecting", "open", "refetch")...)
}

func clientBacksOff(t *testing.T, browser context.Context) {
	s := &site{env: roosttest.Env{"WS_ALLOWED_ORIGINS": "https://elsewhere.example"}} // refused, as a page sees it
	openSite(t, browser, s, nil, "window.hurry = true; Math.random = () => 1")
	roosttest.WaitFor(t, "some attempts", func() bool { return s.tokens.Load() >= 8 })
	s.wantDelays(4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000)
	s.run("Math.random = () => 0; hurry = false")
	seen := s.tokens.Load()
	roosttest.WaitFor(t, "attempts without a delay", func() bool { return s.tokens.Load() > seen+3 })
}

func clientCloses(t *testing.T, browser context.Context) {
	s := openSite(t, browser, &site{}, options{"baseDelay": 1}, "")
	s.wait("connecting", "open", "refetch")
	s.wantHeld(1, 3)
	s.run("roost.close()")
	ended := []string{"connecting", "open", "refetch", "closed 1000 closed by the page"}
	s.wait(ended...)
	s.wantHeld(0, 0)
	s.server.WaitMetric("roost_connections", 0)
	s.run(`dispatchEvent(new Event("online")); roost.close()`)
	s.stays(ended)
}

// The first handshake goes where nobody answers.
func clientGivesUpAnAttempt(t *testing.T, browser context.Context) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	s := &site{target: silent.Addr().String()}
	s.token = func() string {
		if s.tokens.Load() == 2 {
			s.relay.turnTo(s.server.WS)
		}
		return roosttest.Token(t, "alice")
	}
	openSite(t, browser, s, options{"baseDelay": 1, "openWithin": 3000}, "")
	s.wait("connecting", "waiting 1006 not connected in time", "connecting", "open", "refetch")
}

// The first request for a token is never answered, the second fails.
func clientGivesUpOnToken(t *testing.T, browser context.Context) {
	s := openSite(t, browser, &site{}, options{"baseDelay": 1, "openWithin": 3000}, `
		const ask = fetch, wrong = [new Promise(() => {}), Promise.reject("no token")];
		wrong[1].catch(() => {});
		window.fetch = (url, how) => wrong.shift() ?? ask(url, how)`)
	s.wait("connecting", "waiting 1006 not connected in time", "connecting", "waiting 1006 no token",
		"connecting", "open", "refetch")
}

// The table of docs/clients.md says for each code whether to reconnect.
func clientObeysTheTable(t *testing.T, browser context.Context) {
	s := openSite(t, browser, &site{}, nil, "")
	s.wait("connecting", "open", "refetch")
	_, table, _ := strings.Cut(readDoc(t, "docs/clients.md"), "\n## How a connection ends\n")
	table, _, _ = strings.Cut(table, "\n## ")
	codes := 0
	rows := regexp.MustCompile(`(?m)^\| (\d+[^|]*) \|[^|]*\| (Reconnect|Stop)\b`)
	for _, row := range rows.FindAllStringSubmatch(table, -1) {
		want := map[string]string{"Reconnect": "waiting", "Stop": "closed"}[row[2]]
		for _, code := range regexp.MustCompile(`\d+`).FindAllString(row[1], -1) {
			codes++
			script := `import("/roost.js").then(({ connect }) => new Promise((done) => {
				const real = WebSocket;
				window.WebSocket = class { constructor() { setTimeout(() => this.onclose({ code: ` + code + ` })); } close() {} };
				const fake = connect("", () => "", { onState: (state) => {
					if (state === "connecting") return;
					window.WebSocket = real;
					setTimeout(() => fake.close());
					done(state);
				} });
			}))`
			state, err := chromedp.Run(s.ctx, chromedp.Evaluate[string](script, chromedp.EvalAwaitPromise))
			if err != nil || state != want {
				t.Errorf("after %s it is %q (%v), want %q", code, state, err, want)
			}
		}
	}
	if codes < 14 {
		t.Errorf("the table has %d codes", codes)
	}
}

// The example of README and docs/clients.md, with the functions that it leaves out.
func clientIsUsedAsDocumented(t *testing.T, browser context.Context) {
	var example string
	for _, path := range []string{"README.md", "docs/clients.md"} {
		for _, block := range blocks(readDoc(t, path)) {
			if block.language == "html" && example != "" && block.text != example {
				t.Errorf("%s has another example than README.md", path)
			} else if block.language == "html" {
				example = block.text
			}
		}
	}
	s := openSite(t, browser, &site{env: roosttest.Env{"WS_GAP_NOTICE": "true"}, page: `<!doctype html><script>
		var events = [];
		const freshToken = async () => (await fetch("/token", { method: "POST" })).text();
		const onNotification = (n) => events.push(n.type + " " + n.payload.text);
		const refetch = () => events.push("refetch");
		</script>` + example}, nil, "")
	s.wait("refetch")
	notify(s.redis, "alice", `{"type":"greeting","payload":{"text":"hello"}}`)
	s.wait("refetch", "greeting hello")
}

func clientWorksInAWorker(t *testing.T, browser context.Context) {
	s := openSite(t, browser, &site{}, nil, "")
	s.wait("connecting", "open", "refetch")
	s.run(`{
		const script = "import { connect } from '" + origin + "/roost.js';" +
			"connect('ws://` + s.relay.addr + `/ws', () => '` + roosttest.Token(t, "bob") + `', { onState: (s) => postMessage(s) })";
		const worker = new Worker(URL.createObjectURL(new Blob([script], { type: "text/javascript" })), { type: "module" });
		worker.onmessage = (e) => events.push("worker " + e.data);
	}`)
	s.waitLast("worker connecting", "worker open")
}
