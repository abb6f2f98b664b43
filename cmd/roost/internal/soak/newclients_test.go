package soak

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"roost/cmd/roost/internal/roosttest"
	"roost/internal/pause"
)

// newClients are honest clients that connect while others make trouble, and requests for /health and /metrics. Each expects an
// answer; which share gets one is counted.
type newClients struct {
	server *roosttest.Server
	tokens []string // of the users who come, in turn

	handshakes, health, metrics tally
}

// tally counts who asked for something, and who was served. Any goroutine.
type tally struct {
	mu            sync.Mutex
	tried, served int           // guarded by mu, as the next
	longest       time.Duration // of those served
	why           string        // the first who was not
}

// note counts a client that asked, when the answer has come. A failure in the last moments before ctx ends does not count: that
// end may be why, and a dial notices it before ctx does.
func (l *tally) note(ctx context.Context, began time.Time, err error) {
	if err != nil && !pause.For(ctx, comesFor) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tried++
	if err == nil {
		l.served++
		l.longest = max(l.longest, time.Since(began))
	} else if l.why == "" {
		l.why = err.Error()
	}
}

func (l *tally) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := fmt.Sprintf("%d of %d, the slowest after %s", l.served, l.tried, l.longest.Round(time.Millisecond))
	if l.why != "" {
		text += "; the first who was not: " + l.why
	}
	return text
}

// percent is the share of those who were served.
func (l *tally) percent() float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return 100 * float64(l.served) / float64(max(l.tried, 1))
}

// enough is which share of the honest has to get in, in percent.
const enough = 99

// check wants nearly all who came to be let in, and everybody who asked to be answered.
func (n *newClients) check(t *testing.T) {
	t.Helper()
	if n.handshakes.percent() < enough {
		t.Errorf("honest clients who were let in: %s", &n.handshakes)
	}
	if n.health.percent() < 100 {
		t.Errorf("/health answered: %s", &n.health)
	}
	if n.metrics.percent() < 100 {
		t.Errorf("/metrics answered: %s", &n.metrics)
	}
}

// prepareNewClients prepares users of both kinds of tokens.
func prepareNewClients(t testing.TB, server *roosttest.Server, keys *roosttest.KeyPair) *newClients {
	n := &newClients{server: server}
	for i := range 20 {
		user := fmt.Sprintf("new-client-%d", i)
		n.tokens = append(n.tokens, roosttest.Token(t, user), keys.Token(t, user))
	}
	return n
}

const (
	atOnce    = 4                      // new clients that connect at the same time
	comesFor  = 200 * time.Millisecond // how long one stays
	looksEach = 200 * time.Millisecond // how often each port is asked
)

// run has them come and ask until ctx ends.
func (n *newClients) run(ctx context.Context) {
	var all sync.WaitGroup
	for i := range atOnce {
		all.Go(func() {
			for k := i; ctx.Err() == nil; k += atOnce {
				n.come(ctx, k)
			}
		})
	}
	ask := func(l *tally, url string) {
		all.Go(func() {
			for pause.For(ctx, looksEach) {
				began := time.Now()
				l.note(ctx, began, answered(ctx, url))
			}
		})
	}
	ask(&n.health, "http://"+n.server.WS+"/health")
	ask(&n.health, "http://"+n.server.HTTP+"/health")
	ask(&n.metrics, "http://"+n.server.HTTP+"/metrics")
	all.Wait()
}

// come is one new client, from one of the addresses from 127.0.2.1 on.
func (n *newClients) come(ctx context.Context, k int) {
	began := time.Now()
	p, letGo, err := dial(ctx, n.server.WS, fmt.Sprintf("127.0.2.%d", 1+k%50), 0)
	if err == nil {
		defer letGo()
		err = p.upgrade(n.tokens[k%len(n.tokens)])
	}
	n.handshakes.note(ctx, began, err)
	if err != nil {
		return
	}
	p.wait(comesFor)
	p.reset() // no port rests for a minute
}

// answered wants a whole answer, whatever it says: while Redis is away that is 503.
func answered(ctx context.Context, url string) error {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP("127.0.2.100")}}
	transport := &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}
	client := http.Client{Transport: transport, Timeout: roosttest.Limit}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}
