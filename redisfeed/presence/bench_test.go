package presence

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"roost/redisfeed/redistest"
)

// BenchmarkRenewal writes again 10,000 users who are here, without a list and with one, and says what each costs the redis-server,
// which shares the machine, and this process.
func BenchmarkRenewal(b *testing.B) {
	for _, listed := range []bool{false, true} {
		b.Run(map[bool]string{false: "no list", true: "list"}[listed], func(b *testing.B) { renewal(b, listed) })
	}
}

func renewal(b *testing.B, listed bool) {
	server := redistest.Start(b)
	users := newPeople()
	everybody := manyUsers(10_000)
	users.set(1, everybody...)
	p, err := New(quick(server.Addr()), time.Hour, users, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer p.pool.Close()
	keys := len(everybody)
	if listed {
		p.KeepList(new(outbox))
		keys += 2
	}
	round := func() {
		for p.renewing = everybody; len(p.renewing) > 0; {
			p.renew(b.Context())
		}
	}
	round() // the first makes the keys
	redisTime := func() time.Duration { return redisTime(b, server) }
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
	if n := server.Client().DBSize(b.Context()).Val(); n != int64(keys) {
		b.Errorf("%d keys", n)
	}
}

// redisTime is the time of processors that a redis-server has taken.
func redisTime(b *testing.B, server *redistest.Server) time.Duration {
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

// BenchmarkDeadInstance reports a dead instance's 100,000 users, with an endpoint that takes no time, and says what they cost the
// redis-server, and what the list takes of its memory.
func BenchmarkDeadInstance(b *testing.B) {
	const users = 100_000
	server := redistest.Start(b)
	all := manyUsers(users)
	lives := newKeeper(b, server, quick(server.Addr()))
	var spent time.Duration
	for b.Loop() {
		b.StopTimer()
		dead := newKeeper(b, server, quick(server.Addr()))
		dead.writes(1, all...)
		b.ReportMetric(float64(server.Client().MemoryUsage(b.Context(), ListPrefix+dead.id, 0).Val())/users, "list-B/user")
		dead.expire(dead.id)
		before := redisTime(b, server)
		b.StartTimer()
		lives.looks()
		spent += redisTime(b, server) - before
	}
	b.ReportMetric(spent.Seconds()*1e6/float64(b.N*users), "redis-µs/user")
	b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/instance")
	if n := lives.Status().Reported; n != uint64(b.N*users) {
		b.Errorf("%d were reported", n)
	}
}
