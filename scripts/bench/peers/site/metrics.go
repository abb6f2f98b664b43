package site

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/metrics"
)

// ServeMetrics answers /metrics on HTTP_HOST and HTTP_PORT, where that is set,
// with the heap and the goroutines as Prometheus reads them. It returns when
// listening fails.
func ServeMetrics() error {
	port := os.Getenv("HTTP_PORT")
	if port == "" {
		return nil
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, "go_memstats_heap_inuse_bytes %d\ngo_goroutines %d\n", heapInUse(), runtime.NumGoroutine())
	})
	return http.ListenAndServe(net.JoinHostPort(os.Getenv("HTTP_HOST"), port), mux)
}

// heapInUse is runtime.MemStats.HeapInuse without stopping the world.
func heapInUse() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64() + s[1].Value.Uint64()
}
