package presence

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"roost/redisfeed/redistest"
)

// BenchmarkRenewal writes again 10,000 users who are here, and says what each costs the redis-server, which shares
// the machine, and this process.
func BenchmarkRenewal(b *testing.B) {
	server := redistest.Start(b)
	users := newPeople()
	everybody := manyUsers(10_000)
	users.set(1, everybody...)
	p, err := New(quick(server.Addr()), time.Hour, users, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer p.pool.Close()
	round := func() {
		for p.renewing = everybody; len(p.renewing) > 0; {
			p.renew(b.Context())
		}
	}
	round() // the first makes the keys
	redisTime := func() time.Duration {
		var seconds float64
		for line := range strings.Lines(server.Client().Info(b.Context(), "cpu").Val()) {
			if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok && (name == "used_cpu_sys" || name == "used_cpu_user") {
				n, err := strconv.ParseFloat(value, 64)
				if err != nil {
					b.Fatal(err)
				}
				seconds += n
			}
		}
		return time.Duration(seconds * float64(time.Second))
	}
	ownTime := func() time.Duration {
		var used unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
			b.Fatal(err)
		}
		return time.Duration(used.Utime.Nano() + used.Stime.Nano())
	}
	b.ReportAllocs()
	redisBefore, ownBefore := redisTime(), ownTime()
	for b.Loop() {
		round()
	}
	each := func(d time.Duration) float64 { return d.Seconds() * 1e6 / float64(b.N*len(everybody)) }
	b.ReportMetric(each(redisTime()-redisBefore), "redis-µs/user")
	b.ReportMetric(each(ownTime()-ownBefore), "own-µs/user")
	if n := server.Client().DBSize(b.Context()).Val(); n != int64(len(everybody)) {
		b.Errorf("%d users are online", n)
	}
}
