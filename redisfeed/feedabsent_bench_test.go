package redisfeed_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"roost/hub"
	"roost/redisfeed"
	"roost/redisfeed/publish"
	"roost/redisfeed/redistest"
)

// absentSink is a hub without connections, which counts.
type absentSink struct {
	*hub.Hub
	left int
	done chan struct{}
}

func (s *absentSink) Deliver(user, payload string) {
	s.Hub.Deliver(user, payload)
	if s.left--; s.left == 0 {
		close(s.done)
	}
}

func (*absentSink) Flush() {}

// BenchmarkFeedAbsent is the way of notifications of 200 bytes for users who are not here, from a socket to the hub. In place of
// Redis it has a goroutine that writes what was made before, so that the feed is all that takes time.
func BenchmarkFeedAbsent(b *testing.B) {
	path := filepath.Join(redistest.SocketDir(b), "redis.sock")
	ln, err := net.Listen("unix", path)
	if err != nil {
		b.Fatal(err)
	}
	const batch = 5000
	var block strings.Builder
	payload := `{"type":"x","payload":"` + strings.Repeat("x", 175) + `"}`
	for i := range batch {
		channel := fmt.Sprintf("user_noti:user%06d", i)
		fmt.Fprintf(&block, "*4\r\n$8\r\npmessage\r\n$11\r\nuser_noti:*\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", len(channel), channel, len(payload), payload)
	}
	begin := make(chan struct{})
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { serveFlood(conn, begin, []byte(block.String())) })
		}
	})
	sink := &absentSink{Hub: hub.New(hub.Config{}), left: b.N, done: make(chan struct{})}
	feed, err := redisfeed.New(redisfeed.Config{
		Config: publish.Config{Addr: path}, HeartbeatInterval: time.Hour, HeartbeatTimeout: 2 * time.Hour,
	}, sink)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = feed.Run(ctx) }()
	for !feed.Status().Connected {
		time.Sleep(time.Millisecond) // between two looks
	}
	before := processTime(b)
	b.ReportAllocs()
	b.ResetTimer()
	close(begin)
	<-sink.done
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "notifications/s")
	b.ReportMetric(float64(processTime(b)-before)/float64(b.N), "cpu-ns/op")
	b.ReportMetric(float64(feed.Status().Busy)/float64(b.N), "busy-ns/op")
	cancel()
	ln.Close()
	<-ended
	serving.Wait()
}

// serveFlood confirms subscriptions and, on a connection that has some, writes block again and again.
func serveFlood(conn net.Conn, begin <-chan struct{}, block []byte) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		var count int
		if _, err := fmt.Fscanf(in, "*%d\r\n", &count); err != nil {
			return
		}
		args := make([]string, count)
		for i := range args {
			var size int
			if _, err := fmt.Fscanf(in, "$%d\r\n", &size); err != nil {
				return
			}
			if _, err := fmt.Fscanf(in, "%s\r\n", &args[i]); err != nil {
				return
			}
		}
		kind := strings.ToLower(args[0])
		if !strings.HasSuffix(kind, "subscribe") {
			fmt.Fprint(conn, "*0\r\n")
			continue
		}
		for _, name := range args[1:] {
			fmt.Fprintf(conn, "*3\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n:1\r\n", len(kind), kind, len(name), name)
		}
		if kind == "psubscribe" {
			break
		}
	}
	<-begin
	for {
		if _, err := conn.Write(block); err != nil {
			return
		}
	}
}

func processTime(b *testing.B) time.Duration {
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
