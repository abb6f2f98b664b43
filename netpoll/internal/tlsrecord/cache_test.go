package tlsrecord

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
)

// Nothing is allocated for a record of a connection that is in the cache.
func TestCachedRecordsAllocateNothing(t *testing.T) {
	for _, s := range allSuites {
		c, peer := twins(t, s)
		cache := NewCache(2)
		data := make([]byte, 300)
		buf := make([]byte, 0, 1024)
		if n := testing.AllocsPerRun(100, func() {
			sealed, err := c.Seal(buf[:0], data, cache)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := peer.Open(sealed, cache); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%v: %v allocations", s, n)
		}
	}
}

// A round of pings to many connections leaves the busy ones in the cache.
func TestCacheKeepsBusyConnections(t *testing.T) {
	cache := NewCache(8)
	var busy []*Conn
	for range 4 {
		c, _ := twins(t, aes128gcm)
		busy = append(busy, c)
	}
	use := func(c *Conn) uint64 {
		before := cache.Made
		seal(t, c, []byte("x"), cache)
		return cache.Made - before
	}
	for _, c := range busy {
		use(c)
	}
	for i := range 1000 {
		idle, _ := twins(t, aes128gcm)
		if use(idle) != 1 {
			t.Fatal("a new connection's cipher was there")
		}
		if made := use(busy[i%len(busy)]); made != 0 {
			t.Fatalf("after %d idle connections a busy one is out of the cache", i+1)
		}
	}
}

// A cipher is never used for another key than its own: not after a KeyUpdate while the connection used
// another cache, and not for a connection that has its slot by accident.
func TestCacheGoesByKey(t *testing.T) {
	c, peer := twins(t, aes128gcm)
	a, b, other := NewCache(1), NewCache(1), NewCache(8)
	var in []byte
	for i, cache := range []*Cache{a, b, a, b, a} {
		in = append(in, seal(t, c, fmt.Append(nil, i), cache)...)
		sealed, err := c.SealKeyUpdate(nil, false, cache)
		if err != nil {
			t.Fatal(err)
		}
		in = append(in, sealed...)
	}
	if data, _, err := peer.Open(in, other); string(data) != "01234" || err != nil {
		t.Errorf("%q, %v", data, err)
	}
}

func BenchmarkSeal300(b *testing.B) {
	benchmark(b, 300, func(c *Conn, _ *Conn, k *Cache, buf, data []byte) { _, _ = c.Seal(buf[:0], data, k) })
}

func BenchmarkSealAndOpen300(b *testing.B) {
	benchmark(b, 300, func(c, peer *Conn, k *Cache, buf, data []byte) {
		sealed, _ := c.Seal(buf[:0], data, k)
		if plain, _, err := peer.Open(sealed, k); err != nil || !bytes.Equal(plain, data) {
			b.Fatal(err)
		}
	})
}

func benchmark(b *testing.B, n int, f func(c, peer *Conn, k *Cache, buf, data []byte)) {
	for _, s := range allSuites {
		for _, slots := range []int{0, 2} {
			b.Run(fmt.Sprintf("%v/cache=%d", s, slots), func(b *testing.B) {
				c, peer := twins(b, s)
				cache, buf, data := NewCache(slots), make([]byte, 0, 2*n), make([]byte, n)
				b.ReportAllocs()
				for b.Loop() {
					f(c, peer, cache, buf, data)
				}
			})
		}
	}
}

func BenchmarkKeyUpdate(b *testing.B) {
	c, _ := twins(b, aes128gcm)
	for b.Loop() {
		if err := c.nextSecret(reading); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStateBytes is the memory of a connection's state, by how RssAnon grows from 10,000 of them to 110,000.
func BenchmarkStateBytes(b *testing.B) {
	for _, s := range allSuites {
		b.Run(s.String(), func(b *testing.B) {
			secret := make([]byte, s.secretLen())
			all := make([]*Conn, 0, 110_000)
			grow := func(n int) {
				for len(all) < n {
					c, _ := New(s.id(), secret, secret)
					all = append(all, c)
				}
			}
			for b.Loop() {
				all = all[:0]
				grow(10_000)
				before := rssAnon(b)
				grow(110_000)
				b.ReportMetric(float64(rssAnon(b)-before)/100_000, "B/state")
			}
			runtime.KeepAlive(all)
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
