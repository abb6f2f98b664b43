package hub

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"roost/wsproto"
)

// countingConn is a connection that allocates nothing.
type countingConn struct {
	link Link
	n    int
}

func (c *countingConn) HubLink() *Link        { return &c.link }
func (c *countingConn) Deliver(*Notification) { c.n++ }
func (c *countingConn) Replaced()             {}

func (c *countingConn) Disconnect(wsproto.CloseCode, string, string) {}

func (c *countingConn) Missed(time.Time) {}

// admitted is a hub with perUser connections of each of its users, n in all.
type admitted struct {
	hub   *Hub
	conns []countingConn
	names []string // each connection's own copy, as a token's parsing makes it
}

func admit(b *testing.B, n, perUser int) *admitted {
	b.Helper()
	a := newAdmitted(n, perUser)
	a.enter(b)
	return a
}

func newAdmitted(n, perUser int) *admitted {
	a := &admitted{conns: make([]countingConn, n), names: make([]string, n)}
	for i := range a.names {
		a.names[i] = fmt.Sprint("user-", i/perUser)
	}
	return a
}

func (a *admitted) enter(b *testing.B) {
	b.Helper()
	a.hub = New(Config{Logger: quiet()})
	for i := range a.conns {
		if _, _, err := a.hub.Admit(&a.conns[i], a.names[i]); err != nil {
			b.Fatal(err)
		}
	}
}

// publishedSamples are payloads as backends send them.
var publishedSamples = []struct{ name, published string }{
	{"small", `{"type":"greeting","payload":{"text":"hello","n":12345}}`},
	{"usual", `{"type":"order.shipped","payload":{"id":"01J9ZC6Q8Y7T3V5W2X4R6P8N0M","order":1234567,"status":"shipped",` +
		`"items":[{"sku":"A-100","qty":2,"price":19.99},{"sku":"B-205","qty":1,"price":5.5}],"read":false,"url":"https:\/\/example.com\/o\/1234567"}}`},
	{"cyrillic", `{"type":"message","payload":{"from":"Алиса","text":"` + strings.Repeat("Привет, как дела? ", 10) + `"}}`},
	{"escaped", `{"type":"message","payload":{"from":"\u0410\u043b\u0438\u0441\u0430","text":"` + strings.Repeat(`\u041f\u0440\u0438\u0432\u0435\u0442, \u043a\u0430\u043a? `, 10) + `"}}`},
	{"4KiB", `{"type":"document","payload":{"text":"` + strings.Repeat("all work and no play ", 200) + `"}}`},
}

// A notification for a user with one connection, from the published bytes to
// the connection's Deliver.
func BenchmarkDeliver(b *testing.B) {
	for _, sample := range publishedSamples {
		b.Run(sample.name, func(b *testing.B) {
			h := New(Config{Logger: quiet()})
			if _, _, err := h.Admit(new(countingConn), "alice"); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(sample.published)))
			b.ReportAllocs()
			for b.Loop() {
				h.Deliver("alice", sample.published)
			}
		})
	}
}

// Of that, the checking.
func BenchmarkParseEnvelope(b *testing.B) {
	for _, sample := range publishedSamples {
		b.Run(sample.name, func(b *testing.B) {
			b.SetBytes(int64(len(sample.published)))
			b.ReportAllocs()
			for b.Loop() {
				if _, problem := parseEnvelope(sample.published); problem != invalidNone {
					b.Fatal(problem)
				}
			}
		})
	}
}

// A notification for a user with many connections.
func BenchmarkDeliverToMany(b *testing.B) {
	for _, n := range []int{8, 100, 1_000} {
		b.Run(fmt.Sprintf("connections=%d", n), func(b *testing.B) {
			a := admit(b, n, n)
			b.ReportAllocs()
			for b.Loop() {
				a.hub.Deliver("user-0", publishedSamples[0].published)
			}
		})
	}
}

// A notification for a user who is not here: the common case of an instance
// that is one of several.
func BenchmarkDeliverAbsent(b *testing.B) {
	for _, n := range registrySizes {
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) {
			a := admit(b, n, 1)
			absent := make([]string, 1<<12)
			for i := range absent {
				absent[i] = fmt.Sprint("somebody-", i)
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				i++
				a.hub.Deliver(absent[i%len(absent)], publishedSamples[0].published)
			}
		})
	}
}

// A notification for a user who is not here, of 100,000, which clients can resume from or not.
func BenchmarkHeard(b *testing.B) {
	users := make([]string, 100_000)
	for i := range users {
		users[i] = fmt.Sprint("user-", i)
	}
	payload := numbered(1) + strings.Repeat(" ", 300)
	for name, memory := range map[string][]byte{"off": nil, "on": make([]byte, 64<<20)} {
		b.Run(name, func(b *testing.B) {
			h := New(Config{Logger: quiet(), Resume: Resume{Memory: memory, Window: 2 * time.Minute}})
			for i := range 300_000 { // all of the memory is used
				h.Deliver(users[i%len(users)], payload)
			}
			b.ReportAllocs()
			began := cpuTime()
			for i := 0; b.Loop(); i++ {
				h.Deliver(users[i*7919%len(users)], payload)
			}
			b.ReportMetric(float64(cpuTime()-began)/float64(b.N), "cpu-ns/op")
		})
	}
}

// cpuTime is what this process has used: the same while others use the machine.
func cpuTime() time.Duration {
	var used unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &used) // never fails
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
