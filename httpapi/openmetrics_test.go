package httpapi

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestOpenMetricsIsStrict(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"0.0.1", "1.0.0"} {
		body := text(t, serve(t, Config{}, "GET", "/metrics", "Accept", "application/openmetrics-text;version="+version).Body)
		if err := checkOpenMetrics(body); err != nil {
			t.Errorf("version %s: %v", version, err)
		}
		for _, want := range []string{"\ngo_memstats_heap_alloc_bytes ", "\ngo_memstats_alloc_bytes_total "} {
			if !strings.Contains(body, want) {
				t.Errorf("version %s: no %s", version, want)
			}
		}
	}
	if body := text(t, serve(t, Config{}, "GET", "/metrics").Body); !strings.Contains(body, "\ngo_memstats_alloc_bytes ") {
		t.Error("Prometheus's text has no go_memstats_alloc_bytes")
	}
}

// suffixes are what may follow a family's name in its samples, by its type (OpenMetrics 1.0, section 4.4).
var suffixes = map[string][]string{
	"counter": {"_total", "_created"}, "gauge": {""}, "unknown": {""}, "info": {"_info"},
	"histogram": {"_bucket", "_sum", "_count", "_created"}, "summary": {"", "_sum", "_count", "_created"},
}

var (
	openMetricsSample = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\n"])*",?)*)\})? (\S+)( \S+)?$`)
	openMetricsMeta   = regexp.MustCompile(`^# (HELP|TYPE|UNIT) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$`)
)

// checkOpenMetrics reads an exposition as strictly as the specification requires: each family once, in one piece,
// with what is said of it before its samples; samples by the names that its type allows; no series twice; buckets
// that rise; and an end.
func checkOpenMetrics(body string) error {
	lines, ended := strings.CutSuffix(body, "# EOF\n")
	if !ended || !utf8.ValidString(body) {
		return fmt.Errorf("no # EOF at the end, or no UTF-8")
	}
	families, series := make(map[string]string), make(map[string]bool)
	current := ""
	sampled := false
	said := make(map[string]bool)
	buckets := make(map[string]float64)
	for line := range strings.Lines(lines) {
		line = strings.TrimSuffix(line, "\n")
		if m := openMetricsMeta.FindStringSubmatch(line); m != nil {
			what, name := m[1], m[2]
			if name != current {
				if _, twice := families[name]; twice {
					return fmt.Errorf("the family %s comes twice: %s", name, line)
				}
				families[name] = "unknown"
				current, sampled = name, false
			}
			if sampled || said[what+name] {
				return fmt.Errorf("said twice, or after a sample: %s", line)
			}
			said[what+name] = true
			if what == "TYPE" {
				families[name] = m[3]
			}
			continue
		}
		m := openMetricsSample.FindStringSubmatch(line)
		if m == nil {
			return fmt.Errorf("no sample: %q", line)
		}
		name, labels := m[1], m[2]
		sampled = true
		kind := families[current]
		if !slices.ContainsFunc(suffixes[kind], func(s string) bool { return name == current+s }) {
			return fmt.Errorf("%s is no sample of the %s %s", name, kind, current)
		}
		value, err := strconv.ParseFloat(m[3], 64)
		if err != nil {
			return fmt.Errorf("no number: %s", line)
		}
		if series[name+"{"+labels] {
			return fmt.Errorf("the series comes twice: %s", line)
		}
		series[name+"{"+labels] = true
		if kind == "counter" && !(value >= 0) {
			return fmt.Errorf("a counter below 0: %s", line)
		}
		if strings.HasSuffix(name, "_bucket") {
			if value < buckets[name] {
				return fmt.Errorf("a bucket below the one before: %s", line)
			}
			buckets[name] = value
			if strings.Contains(labels, `le="+Inf"`) {
				buckets[current+"_count"], buckets[name] = value, 0
			}
		}
		if count, known := buckets[name]; known && kind == "histogram" && strings.HasSuffix(name, "_count") && count != value {
			return fmt.Errorf("not what its last bucket has: %s", line)
		}
	}
	return nil
}
