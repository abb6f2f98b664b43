package docs

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// exposition is what a server exports: by a metric's name, its labels, and the values that each has.
type exposition map[string]map[string][]string

// readExposition reads Prometheus's text format.
func readExposition(t *testing.T, text string) exposition {
	t.Helper()
	all := make(exposition)
	for line := range strings.Lines(text) {
		m := sampleLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		if all[m[1]] == nil {
			all[m[1]] = make(map[string][]string)
		}
		for _, label := range matcher.FindAllStringSubmatch(m[2], -1) {
			all[m[1]][label[1]] = append(all[m[1]][label[1]], label[3])
		}
	}
	if len(all) < 50 {
		t.Fatalf("only %d metrics are exported", len(all))
	}
	return all
}

var (
	sampleLine = regexp.MustCompile(`^([a-z]\w*)(\{.*\})? \S+`)
	// A metric's name, and the selector behind it.
	metricName = regexp.MustCompile(`\b((?:roost|process|go)_\w+)(\{[^}]*\})?`)
	matcher    = regexp.MustCompile(`(\w+)(=~|!~|!=|=)"((?:[^"\\]|\\.)*)"`)
	grouping   = regexp.MustCompile(`\b(?:by|without|on|ignoring|group_left|group_right) ?\(([^)]*)\)`)
	// Of a legend, and of an alert's texts.
	template = regexp.MustCompile(`\{\{ ?(?:\$labels\.)?(\w+) ?\}\}`)
)

// targets are the labels that Prometheus adds.
var targets = []string{"instance", "job"}

// faults says what of an expression no server exports: names of metrics, of labels, and values of labels. texts are
// what is shown with its result, with templates in them.
func (e exposition) faults(expr string, texts ...string) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	known := slices.Clone(targets)
	for _, m := range metricName.FindAllStringSubmatch(expr, -1) {
		labels, is := e[m[1]]
		if !is {
			fault("no metric %s", m[1])
			continue
		}
		for label := range labels {
			known = append(known, label)
		}
		for _, s := range matcher.FindAllStringSubmatch(m[2], -1) {
			faults = append(faults, e.selectorFaults(m[1], s[1], s[2], s[3])...)
		}
	}
	named := grouping.FindAllStringSubmatch(expr, -1)
	for _, text := range texts {
		named = append(named, template.FindAllStringSubmatch(text, -1)...)
	}
	for _, m := range named {
		for label := range strings.SplitSeq(m[1], ",") {
			if label = strings.TrimSpace(label); !slices.Contains(known, label) {
				fault("no label %s in %s", label, expr)
			}
		}
	}
	return faults
}

// selectorFaults checks one matcher, and each alternative of a regular expression by itself.
func (e exposition) selectorFaults(metric, label, how, value string) (faults []string) {
	if slices.Contains(targets, label) {
		return nil
	}
	values, is := e[metric][label]
	if !is {
		return []string{fmt.Sprintf("%s has no label %s", metric, label)}
	}
	alternatives := []string{regexp.QuoteMeta(value)}
	if strings.HasSuffix(how, "~") {
		alternatives = strings.Split(value, "|")
	}
	for _, one := range alternatives {
		re, err := regexp.Compile("^(?:" + one + ")$")
		if err != nil || !slices.ContainsFunc(values, re.MatchString) {
			faults = append(faults, fmt.Sprintf("%s has no %s that is %s, but %q", metric, label, strconv.Quote(one), values))
		}
	}
	return faults
}

func TestFaultsOfExpressions(t *testing.T) {
	t.Parallel()
	e := exposition{"roost_x_total": {"reason": {"full", "queue_full"}}, "roost_y_bucket": {"le": {"1"}}, "process_z": {}}
	for expr, want := range map[string]int{
		`rate(roost_x_total[5m]) > 0`:                                               0,
		`sum by (instance, reason) (roost_x_total{job="a", reason="full"})`:         0,
		`roost_x_total{reason=~"full|queue_.+", instance=~"$instance"} / process_z`: 0,
		`histogram_quantile(0.9, sum by (le) (rate(roost_y_bucket[1m])))`:           0,
		`up == 0`:                                    0,
		`roost_xx_total`:                             1,
		`go_nothing + process_nothing`:               2,
		`roost_x_total{why="full"}`:                  1,
		`roost_x_total{reason="ful"}`:                1,
		`roost_x_total{reason=~"full|queues_full"}`:  1,
		`roost_x_total{reason!~"ful."}`:              0,
		`roost_x_total{reason!="none"}`:              1,
		`sum by (loop) (roost_x_total)`:              1,
		`process_z > ignoring (le) roost_x_total`:    1,
		`sum by (job) (roost_x_total{reason="ull"})`: 1,
	} {
		if got := e.faults(expr); len(got) != want {
			t.Errorf("%s: %q, want %d", expr, got, want)
		}
	}
	if got := e.faults("roost_x_total", "{{instance}} {{reason}}", "{{ $labels.reason }} {{ $value | humanize }}"); len(got) != 0 {
		t.Errorf("%q", got)
	}
	if got := e.faults("roost_x_total", "{{loop}}", "{{ $labels.le }}"); len(got) != 2 {
		t.Errorf("%q, want two", got)
	}
}
