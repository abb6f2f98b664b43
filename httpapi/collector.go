package httpapi

import (
	"runtime"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"roost/internal/metric"
)

// collector gives Prometheus one reading of Stats a scrape, so that the numbers of a scrape agree with each other.
// Static after construction.
type collector struct {
	stats   func() Stats
	metrics []family
	descs   []*prometheus.Desc // of metrics, by index
	machine *machine

	counters map[string]describedCounter // of Stats.Counters, by name
}

// describedCounter is what Prometheus needs of a metric.Desc.
type describedCounter struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

func newCollector(stats func() Stats, counters []metric.Desc, m *machine) *collector {
	c := &collector{stats: stats, metrics: table(), machine: m, counters: make(map[string]describedCounter, len(counters))}
	for _, m := range c.metrics {
		c.descs = append(c.descs, prometheus.NewDesc(m.name, m.help, m.labels(), nil))
	}
	for _, d := range counters {
		kind := prometheus.GaugeValue
		if d.Counter() {
			kind = prometheus.CounterValue
		}
		c.counters[d.Name] = describedCounter{prometheus.NewDesc(d.Name, d.Help, nil, nil), kind}
	}
	return c
}

// Describe is prometheus.Collector's.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		ch <- d
	}
	for _, k := range c.counters {
		ch <- k.desc
	}
	c.machine.describe(ch)
}

// Collect is prometheus.Collector's.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	stats := c.stats()
	for i, m := range c.metrics {
		m.collect(&stats, c.descs[i], ch)
	}
	for _, v := range stats.Counters {
		if k, ok := c.counters[v.Name]; ok {
			ch <- prometheus.MustNewConstMetric(k.desc, k.kind, float64(v.Value))
		}
	}
	c.machine.collect(stats.Sockets, ch)
}

// labels are the names of a metric's labels.
func (m *family) labels() []string {
	switch {
	case m.counts != nil:
		return m.several
	case m.values != nil, m.times != nil:
		return []string{m.label}
	case m.loops != nil:
		return []string{"loop"}
	}
	return nil
}

// collect sends a metric's values.
func (m *family) collect(stats *Stats, desc *prometheus.Desc, ch chan<- prometheus.Metric) {
	switch {
	case m.value != nil:
		ch <- prometheus.MustNewConstMetric(desc, m.kind, m.value(stats))
	case m.values != nil:
		for label, n := range m.values(stats) {
			ch <- prometheus.MustNewConstMetric(desc, m.kind, float64(n), label)
		}
	case m.times != nil:
		for label, d := range m.times(stats) {
			ch <- prometheus.MustNewConstMetric(desc, m.kind, d.Seconds(), label)
		}
	case m.counts != nil:
		for _, c := range m.counts(stats) {
			ch <- prometheus.MustNewConstMetric(desc, m.kind, float64(c.value), c.labels...)
		}
	case m.loops != nil:
		for loop, v := range m.loops(stats) {
			ch <- prometheus.MustNewConstMetric(desc, m.kind, v, strconv.Itoa(loop))
		}
	case m.histogram(stats).Counts == nil: // of what is not served
	default:
		count, buckets := m.histogram(stats).cumulative()
		ch <- prometheus.MustNewConstHistogram(desc, count, m.histogram(stats).Sum.Seconds(), buckets)
	}
}

// newRegistry holds all that /metrics exports. stats is called once for each time that it is gathered.
func newRegistry(cfg Config, stats func() Stats, m *machine) *prometheus.Registry {
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "roost_build_info",
		Help:        "Always 1; the labels say what runs.",
		ConstLabels: prometheus.Labels{"version": cfg.Version, "revision": cfg.Revision, "goversion": runtime.Version()},
	})
	build.Set(1)
	r := prometheus.NewRegistry()
	r.MustRegister(
		newCollector(stats, cfg.Counters, m),
		build,
		collectors.NewGoCollector(),
	)
	return r
}
