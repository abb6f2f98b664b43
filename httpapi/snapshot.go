package httpapi

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"golang.org/x/time/rate"
)

const (
	// gatherEvery is how often all numbers are gathered, at most, whatever the number of those who ask.
	gatherEvery = time.Second
	// gatherBurst is how many times in a row after nobody has asked for a while, so that two scrapers and a person who
	// come at the same moment each get new numbers.
	gatherBurst = 5
)

// gatherer reads all numbers, for all who ask. Any goroutine.
type gatherer struct {
	stats    func() Stats         // static
	registry *prometheus.Registry // static
	log      *slog.Logger         // static
	limit    *rate.Limiter        // any goroutine

	mu      sync.Mutex // held while the numbers are gathered
	last    *snapshot  // guarded by mu: nil at first
	reading *Stats     // guarded by mu: what the registry's collector is to give; nil while nothing is gathered
}

// snapshot is all numbers as they were at one moment, or a few milliseconds after it.
type snapshot struct {
	at       time.Time // static, as the next two
	stats    Stats
	families []*dto.MetricFamily

	mu     sync.Mutex
	bodies map[bodyKind][]byte // guarded by mu: the families as they were asked for
}

// bodyKind is a form in which a snapshot is sent. There are few.
type bodyKind struct {
	format expfmt.Format
	gzip   bool
}

func newGatherer(cfg Config, stats func() Stats, m *machine) *gatherer {
	g := &gatherer{stats: stats, log: cfg.Logger, limit: rate.NewLimiter(rate.Every(gatherEvery), gatherBurst)}
	g.registry = newRegistry(cfg, func() Stats { return *g.reading }, m)
	return g
}

// current is a snapshot that is at most gatherEvery old. A caller that asks while one is made waits for it, a few
// milliseconds.
func (g *gatherer) current() *snapshot {
	asked := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.last == nil || g.last.at.Before(asked) && g.limit.AllowN(time.Now(), 1) {
		g.last = g.gather()
	}
	return g.last
}

// gather reads everything. The caller holds mu. Numbers of the kernel that can't be read are left out and logged.
func (g *gatherer) gather() *snapshot {
	s := &snapshot{at: time.Now(), stats: g.stats(), bodies: make(map[bodyKind][]byte)}
	g.reading = &s.stats
	defer func() { g.reading = nil }()
	var err error
	if s.families, err = g.registry.Gather(); err != nil {
		g.log.Warn("some metrics can't be gathered", slog.String("error", err.Error()))
	}
	return s
}

// age is how old the snapshot is, and of when, as a Server-Timing header: who compares its numbers with what happened
// just now has to know.
func (s *snapshot) age() string {
	return fmt.Sprintf(`age;dur=%.3f;desc="%s"`, time.Since(s.at).Seconds()*1e3, s.at.UTC().Format(time.RFC3339Nano))
}

// body is the snapshot in a form, made once for all who ask for it.
func (s *snapshot) body(kind bodyKind) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if body, made := s.bodies[kind]; made {
		return body, nil
	}
	body, err := s.encode(kind.format)
	if err == nil && kind.gzip {
		body, err = zipped(body)
	}
	if err != nil {
		return nil, err
	}
	s.bodies[kind] = body
	return body, nil
}

func (s *snapshot) encode(format expfmt.Format) ([]byte, error) {
	var b bytes.Buffer
	encoder := expfmt.NewEncoder(&b, format)
	for _, family := range s.families {
		if format.FormatType() == expfmt.TypeOpenMetrics && family.GetName() == twiceInOpenMetrics {
			continue
		}
		if err := encoder.Encode(family); err != nil {
			return nil, fmt.Errorf("encoding %s: %w", family.GetName(), err)
		}
	}
	if closer, ok := encoder.(expfmt.Closer); ok { // writes what ends OpenMetrics
		if err := closer.Close(); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), nil
}

// twiceInOpenMetrics is a gauge with the name that OpenMetrics gives the family of the counter
// go_memstats_alloc_bytes_total, and a family may be there once only (OpenMetrics 1.0, section 4.5). Its value is that of
// go_memstats_heap_alloc_bytes.
const twiceInOpenMetrics = "go_memstats_alloc_bytes"

func zipped(body []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(body); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
