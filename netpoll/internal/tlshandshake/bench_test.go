package tlshandshake

import (
	"crypto/tls"
	"errors"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"roost/netpoll/internal/tlsrecord"
)

// BenchmarkRun is the CPU of the server's first flight: the light way, with crypto/tls parked, and resumed.
func BenchmarkRun(b *testing.B) {
	resume := &tls.Config{ClientSessionCache: tls.NewLRUClientSessionCache(1), ServerName: "one.test", InsecureSkipVerify: true}
	s := testServer(b, Options{})
	client := newMemoryClient(resume)
	r, err := client.connect(s)
	if err != nil {
		b.Fatal(err)
	}
	exchangeOnce(b, client, r)
	client.stop()
	for _, test := range []struct {
		name   string
		heavy  error
		config *tls.Config
	}{
		{"light", nil, &tls.Config{}},
		{"light/resumed", nil, resume},
		{"parked", errors.New("for this benchmark"), &tls.Config{}},
		{"parked/resumed", errors.New("for this benchmark"), resume},
	} {
		b.Run(test.name, func(b *testing.B) {
			s.heavy = test.heavy
			_, hello := helloOf(b, test.config)
			b.ReportAllocs()
			for b.Loop() {
				h := s.Start()
				if _, err := feed(h, hello); err != nil {
					b.Fatal(err)
				}
				h.Close()
			}
		})
	}
}

func exchangeOnce(b *testing.B, client *memoryClient, r Result) {
	sealed, err := r.Light.Seal(nil, []byte("x"), tlsrecord.NewCache(0))
	if err != nil {
		b.Fatal(err)
	}
	if _, err := client.echo(sealed, 1); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkFinish is what the loop does for the client's last flight. Run it with -benchtime 200x: the rest of each
// handshake is not counted, and takes its time.
func BenchmarkFinish(b *testing.B) {
	s := testServer(b, Options{})
	for b.Loop() {
		b.StopTimer()
		client, hello := helloOf(b, &tls.Config{})
		h := s.Start()
		if _, err := feed(h, hello); err != nil {
			b.Fatal(err)
		}
		client.t.in = h.Output()
		client.next()
		finish := client.t.take()
		b.StartTimer()
		if status, err := h.Feed(finish); status != Done || err != nil {
			b.Fatal(status, err)
		}
	}
}

// BenchmarkHalfOpen is the memory of a client that stalls after the server's flight, by RssAnon, 200 to 2,200 of them.
func BenchmarkHalfOpen(b *testing.B) {
	for _, test := range []struct {
		name   string
		heavy  error
		config *tls.Config
	}{
		{"light", nil, &tls.Config{}},
		{"parked", errors.New("for this benchmark"), &tls.Config{}},
		{"parked/1.2", nil, &tls.Config{MaxVersion: tls.VersionTLS12}},
	} {
		b.Run(test.name, func(b *testing.B) {
			s := testServer(b, Options{})
			s.heavy = test.heavy
			_, hello := helloOf(b, test.config)
			for b.Loop() {
				var all []*Handshake
				grow := func(n int) {
					for len(all) < n {
						h := s.Start()
						if status, err := feed(h, hello); status != NeedInput || err != nil {
							b.Fatal(status, err)
						}
						h.Output()
						all = append(all, h)
					}
				}
				grow(200)
				before := rssAnon(b)
				grow(2200)
				b.ReportMetric(float64(rssAnon(b)-before)/2000, "B/handshake")
				b.ReportMetric(float64(all[0].Held()), "B/held")
				for _, h := range all {
					h.Close()
				}
				runtime.KeepAlive(all)
			}
		})
	}
}

func rssAnon(b *testing.B) int {
	debug.FreeOSMemory()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Skip(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kb, _ := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")))
			return kb << 10
		}
	}
	b.Skip("no RssAnon")
	return 0
}
