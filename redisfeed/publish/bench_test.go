package publish

import (
	"crypto/rand"
	"fmt"
	"regexp"
	"strconv"
	"testing"

	"roost/redisfeed/redistest"
)

// BenchmarkPublish is what a batch costs Redis, with an idempotency key and without: with one subscriber, of CPU.
func BenchmarkPublish(b *testing.B) {
	server := redistest.Start(b)
	p := patient(Config{Addr: server.Addr()})
	defer p.Close()
	heard := server.Client().PSubscribe(b.Context(), "user_noti:*")
	defer heard.Close()
	go func() { // Redis has somebody to write to
		for range heard.Channel() {
		}
	}()
	for _, n := range []int{1, 1000} {
		batch := batchOf(n)
		for name, publish := range map[string]func() error{
			"without": func() error {
				_, err := p.PublishBatch(b.Context(), batch)
				return err
			},
			"with a key": func() error {
				_, err := p.PublishIdempotent(b.Context(), keyOf(rand.Text(), ""), batch)
				return err
			},
			"again": func() error {
				_, err := p.PublishIdempotent(b.Context(), keyOf(strconv.Itoa(n), ""), batch)
				return err
			},
		} {
			b.Run(fmt.Sprintf("%d %s", n, name), func(b *testing.B) {
				began := redisCPU(b, server)
				for b.Loop() {
					if err := publish(); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric((redisCPU(b, server)-began)*1e6/float64(b.N), "redis-µs/op")
			})
		}
	}
}

var cpuLine = regexp.MustCompile(`(?m)^used_cpu_(?:user|sys):([0-9.]+)`)

// redisCPU is what Redis has used, in seconds.
func redisCPU(b *testing.B, server *redistest.Server) (seconds float64) {
	b.Helper()
	for _, found := range cpuLine.FindAllStringSubmatch(server.Client().Info(b.Context(), "cpu").Val(), -1) {
		n, err := strconv.ParseFloat(found[1], 64)
		if err != nil {
			b.Fatal(err)
		}
		seconds += n
	}
	return seconds
}
