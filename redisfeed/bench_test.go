package redisfeed

import (
	"context"
	"strings"
	"testing"

	"roost/redisfeed/redistest"
)

// BenchmarkFeed is the way of a notification of 200 bytes from Redis to the sink, with a redis-server that shares the
// machine and a publisher that pipelines.
func BenchmarkFeed(b *testing.B) {
	server := redistest.Start(b)
	got, done := 0, make(chan struct{})
	connected(b, quick(server.Addr()), sinkFunc(func(string, string) {
		if got++; got == b.N {
			close(done)
		}
	}))
	payload := strings.Repeat("x", 200)
	b.ReportAllocs()
	b.ResetTimer()
	ctx := context.Background()
	for sent := 0; sent < b.N; {
		pipe := server.Client().Pipeline()
		for range min(500, b.N-sent) {
			pipe.Publish(ctx, "user_noti:alice", payload)
			sent++
		}
		if _, err := pipe.Exec(ctx); err != nil {
			b.Fatal(err)
		}
	}
	<-done
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "notifications/s")
}
