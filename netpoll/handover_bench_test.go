package netpoll

import (
	"fmt"
	"runtime"
	"testing"
	"time"
)

// BenchmarkHandover hands idle connections over between two servers of this process, with their clients in it, too, and tells what
// that takes: before the pause (PreCopy), the pause in which nothing is delivered (Freeze to Finish), until the old process has let go of all (Commit), and how
// many bytes of state a connection has. Three descriptors are needed for each connection.
//
//	go test -run '^$' -bench Handover -benchtime 3x ./netpoll
func BenchmarkHandover(b *testing.B) {
	for _, over := range []string{"plain", "wss"} {
		for _, n := range []int{1000, 5000} {
			b.Run(fmt.Sprintf("%s/n=%d", over, n), func(b *testing.B) { benchmarkHandover(b, over == "wss", n) })
		}
	}
}

func benchmarkHandover(b *testing.B, wss bool, n int) {
	ln, err := Listen(b.Context(), ListenConfig{Address: "127.0.0.1:0"})
	if err != nil {
		b.Fatal(err)
	}
	var r *rig
	if wss {
		r = startSecure(b, testTLS(b, TLSOptions{}), nil, ln)
	} else {
		r = startOnBoth(b, nil, nil, ln, nil)
	}
	for i := range n {
		conn, err := r.dialTCP()
		if err != nil {
			b.Fatal(err)
		}
		if wss {
			conn = tlsClient(conn)
		}
		upgraded(b, conn, fmt.Sprint("user", i))
	}
	var preCopy, pause, commit time.Duration
	state := 0
	for b.Loop() {
		b.StopTimer()
		runtime.GC()
		b.StartTimer()
		m, serve := r.begin(nil)
		preCopy += m.preCopy
		m.keep = false
		begun := time.Now()
		if taken := m.freeze(); taken.Connections != n {
			b.Fatalf("%+v", taken)
		}
		pause += time.Since(begun)
		begun = time.Now()
		m.out.Commit()
		for int(r.server.Stats().HandedOver) < n {
			time.Sleep(100 * time.Microsecond) // between two looks
		}
		commit += time.Since(begun)
		serve()
		state = m.bytes
		r = m.next
	}
	perConn := func(d time.Duration) float64 { return float64(d.Microseconds()) / float64(b.N) / float64(n) }
	b.ReportMetric(float64(pause.Microseconds())/1000/float64(b.N), "pause-ms")
	b.ReportMetric(perConn(preCopy), "precopy-µs/conn")
	b.ReportMetric(perConn(pause), "pause-µs/conn")
	b.ReportMetric(perConn(commit), "commit-µs/conn")
	b.ReportMetric(float64(state)/float64(n), "state-B/conn")
}
