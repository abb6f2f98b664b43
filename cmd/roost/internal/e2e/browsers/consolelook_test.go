package browsers

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

const lookToken = "0123456789abcdef"

// TestConsoleFits looks at the console in windows from a phone's to a wide one, of a server without users, with something to show, and
// in trouble: nothing is cut off or lies beyond the edge of what it is in. With CONSOLE_LOOKS, a directory, it leaves pictures there.
func TestConsoleFits(t *testing.T) {
	t.Parallel()
	browser := startBrowser(t)
	_, quiet := e2e.Start(t, nil)
	empty := openTab(t, browser, "http://"+quiet.HTTP+"/")
	empty.waitText("#start", "Nothing is connected yet")
	empty.waitText("#publish-closed", "HTTP_TOKEN")
	empty.fits("empty")

	traffic := startTraffic(t, 8)
	traffic.second(0)
	busy := traffic.console(browser)
	busy.submit("#why", "#why-user", "slow")
	busy.waitText("#why-answer", "Connections to this server: 1")
	busy.fits("busy")

	traffic.relay.Cut("")
	busy.waitText("#troubles", "Redis is away")
	busy.fits("away")
}

// fits checks the page in windows of four sizes, light and dark.
func (tab tab) fits(name string) {
	tab.t.Helper()
	for _, width := range []int64{320, 390, 768, 1280} {
		for _, scheme := range []string{"light", "dark"} {
			tab.window(width, 900, scheme)
			if beyond := tab.beyond(); len(beyond) > 0 {
				tab.t.Errorf("%s, %d pixels wide, %s: beyond the edge are %q", name, width, scheme, beyond)
			}
			if looks := os.Getenv("CONSOLE_LOOKS"); looks != "" {
				tab.picture(filepath.Join(looks, fmt.Sprintf("%s-%d-%s.png", name, width, scheme)), chromedp.FullScreenshot(100))
			}
		}
	}
}

// TestConsolePicture takes the picture in README: CONSOLE_PICTURE is its file, CONSOLE_PICTURE_AFTER how long there is traffic before.
func TestConsolePicture(t *testing.T) {
	file := os.Getenv("CONSOLE_PICTURE")
	if file == "" {
		t.Skip("takes minutes and writes a file: make picture runs it")
	}
	after, err := time.ParseDuration(os.Getenv("CONSOLE_PICTURE_AFTER"))
	if err != nil {
		t.Fatal(err)
	}
	browser := startBrowser(t)
	traffic := startTraffic(t, 8000)
	tab := traffic.console(browser)
	tab.click("#ranges label:nth-of-type(1)") // ten minutes
	tab.evaluate(`document.activeElement.blur(); ""`)
	seconds := int(after / time.Second)
	for n := range seconds {
		begin := time.Now()
		traffic.second(n)
		if n == seconds/3 {
			traffic.relay.Cut(traffic.redis.Addr()) // a gap
		}
		time.Sleep(time.Until(begin.Add(time.Second))) // the pace of the traffic
	}
	tab.window(1200, 1000, "light")
	tab.waitText("#status", "healthy")
	tab.picture(file, chromedp.CaptureScreenshot())
}

func (tab tab) picture(file string, take chromedp.Action[[]byte]) {
	tab.t.Helper()
	image, err := chromedp.Run(tab.ctx, take)
	if err == nil {
		err = os.WriteFile(file, image, 0o600)
	}
	if err != nil {
		tab.t.Fatal(err)
	}
}

// traffic is a server with users who connect, leave, listen and don't, and a backend that publishes for them.
type traffic struct {
	t      *testing.T
	redis  *redistest.Server
	relay  *roosttest.Relay // between the server and Redis
	server *roosttest.Server
	users  []*roosttest.Client
	moved  int // users who have left and come again
}

func startTraffic(t *testing.T, users int) *traffic {
	redis := redistest.Start(t)
	relay := roosttest.StartRelay(t, redis.Addr())
	server := roosttest.Start(t, roosttest.RedisAt(relay.Addr), roosttest.Env{
		"HTTP_TOKEN": lookToken, "WS_RESUME_WINDOW": "2m", "WS_GAP_NOTICE": "true", "WS_QUEUE_BYTES": "65536", "WS_MAX_CONNECTIONS": "15000",
		"WS_PONG_WAIT": "1h", // who takes nothing answers no ping, and stays until a browser has looked
	})
	traffic := &traffic{t: t, redis: redis, relay: relay, server: server}
	for i := range users {
		traffic.users = append(traffic.users, traffic.connect(i))
	}
	return traffic
}

func (f *traffic) connect(i int) *roosttest.Client {
	claims := roosttest.Claims{"sub": fmt.Sprintf("user%d", i), "groups": []string{fmt.Sprintf("room:%d", i%10)}, "exp": time.Now().Add(time.Hour).Unix()}
	return f.server.ConnectWith(roosttest.Sign(f.t, "HS256", roosttest.Secret, claims), roosttest.Dial{})
}

// second is what happens in the nth second: a wave of notifications, one in five of them for somebody who is not here; users who leave
// and come; one who takes nothing, until the server ends that; one whose token is too old.
func (f *traffic) second(n int) {
	wave := math.Sin(float64(n) / 60)
	rate := int(200 + 150*wave)
	for i := range min(rate, 5*len(f.users)) {
		user := (n*7919 + i*31) % (len(f.users) * 5 / 4)
		e2e.Notify(f.redis, fmt.Sprintf("user%d", user), e2e.Numbered(i))
	}
	f.redis.Publish(fmt.Sprintf("group_noti:room:%d", n%10), e2e.Numbered(n))
	e2e.Notify(f.redis, "slow", `{"type":"report","payload":"`+strings.Repeat("x", 8<<10)+`"}`)
	for range max(1, len(f.users)/1000) {
		again := f.moved % len(f.users)
		f.moved++
		f.users[again].Close()
		f.users[again] = f.connect(again)
	}
	if n%20 == 0 {
		f.server.DialBuffered(4096).MustUpgrade(roosttest.Token(f.t, "slow"))
	}
	if n%4 == 0 {
		e2e.Connects(f.server, roosttest.Sign(f.t, "HS256", roosttest.Secret, roosttest.Claims{"sub": "late", "exp": 1}))
	}
}

// console opens the page as an operator with the token does.
func (f *traffic) console(browser context.Context) tab {
	tab := openTab(f.t, browser, "about:blank")
	tab.do(chromedp.Navigate("http://operator:" + lookToken + "@" + f.server.HTTP + "/"))
	tab.waitText("#status", "healthy")
	tab.waitText("#loops", "Loop 0", "%")
	return tab
}

// window gives the page a size, and a colour scheme.
func (tab tab) window(width, height int64, scheme string) {
	tab.t.Helper()
	tab.do(chromedp.EmulateViewport(width, height), func(ctx context.Context, target *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return chromedp.Void{}, err
	})
	wait := fmt.Sprintf(`new Promise((done) => { const look = () => innerWidth === %d ? requestAnimationFrame(() => requestAnimationFrame(() => done("seen"))) : setTimeout(look, 10); look(); })`, width)
	if _, err := chromedp.Run(tab.ctx, chromedp.Evaluate[string](wait, chromedp.EvalAwaitPromise)); err != nil {
		tab.t.Fatalf("a window %d wide: %v", width, err)
	}
}

// beyond are the elements that reach beyond the window, or the card that they are in. What can be scrolled may.
func (tab tab) beyond() (all []string) {
	tab.t.Helper()
	text := tab.evaluate(`{
		const beyond = [];
		for (const e of document.querySelectorAll("body *")) {
			if (!e.checkVisibility() || e.parentElement.closest(".scroll, textarea")) continue;
			const edge = Math.min(innerWidth, e.parentElement.closest(".card, .tile")?.getBoundingClientRect().right ?? innerWidth);
			const cut = e.matches("dd, dt, h2, p, span, button, label") && e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 0;
			if (e.getBoundingClientRect().right > edge + 0.5 || cut) beyond.push(e.tagName + " " + (e.id || e.textContent.slice(0, 40)));
		}
		JSON.stringify(beyond);
	}`)
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		tab.t.Fatal(err)
	}
	return all
}
