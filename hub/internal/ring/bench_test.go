package ring

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkAppend is what a notification costs that is heard, with 100,000 users.
func BenchmarkAppend(b *testing.B) {
	r := New(make([]byte, 64<<20), 2*time.Minute)
	r.Reset(7, 0)
	users := make([]Key, 100_000)
	for i := range users {
		users[i] = Key{User, fmt.Sprint("user-", i)}
	}
	payload := strings.Repeat("x", 300)
	for i := range 300_000 { // all of the memory is used
		r.Append(users[i%len(users)], payload, true, 0)
	}
	b.ReportAllocs()
	began := cpuTime()
	for i := 0; b.Loop(); i++ {
		r.Append(users[i*7919%len(users)], payload, true, int64(i/10))
	}
	b.ReportMetric(float64(cpuTime()-began)/float64(b.N), "cpu-ns/op")
}

// cpuTime is what this process has used: the same while others use the machine.
func cpuTime() time.Duration {
	var used unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &used) // never fails
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// BenchmarkSince is what a client costs that comes back and has missed nothing.
func BenchmarkSince(b *testing.B) {
	r := New(make([]byte, 64<<20), 2*time.Minute)
	r.Reset(7, 0)
	payload := strings.Repeat("x", 300)
	for i := range 300_000 {
		r.Append(Key{User, fmt.Sprint("user-", i%100_000)}, payload, true, 1)
	}
	at := r.Head()
	for i := 0; b.Loop(); i++ {
		if _, _, why := r.Since(at, []Key{{User, fmt.Sprint("user-", i*7919%100_000)}, {Kind: Everyone}}, Bounds{256, 1 << 20}); why != NotRefused {
			b.Fatal(why)
		}
	}
}
