package soak

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

// report prints the figures. Where ROOST_SOAK_FIGURES names a file it writes them there, and where ROOST_SOAK_PAGE names
// a page, into that: of a soak that went well only.
func (s *soak) report(t *testing.T) {
	t.Helper()
	text := s.figures()
	if path := os.Getenv("ROOST_SOAK_FIGURES"); path != "" {
		write(t, path, text)
	} else {
		t.Log("\n" + text)
	}
	path := os.Getenv("ROOST_SOAK_PAGE")
	if path == "" || t.Failed() {
		return
	}
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	written, err := between(string(page), text)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	write(t, path, written)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// figures are the report: a line for each thing.
func (s *soak) figures() string {
	var text strings.Builder
	lines := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	row := func(what, format string, args ...any) {
		fmt.Fprintf(lines, "%s\t%s\n", what, fmt.Sprintf(format, args...))
	}
	connections, published := 0, 0
	for user, clients := range s.clients {
		connections += len(clients)
		published += len(s.publisher.ledger[user])
	}
	row("Length", "%s, on %d processors, %s", s.plan.length, runtime.NumCPU(), runtime.Version())
	row("Healthy clients", "%d connections of %d users", connections, s.plan.users)
	row("Published for them", "%d notifications", published)
	row("Arrived at every connection of their user", "%d, which are %d deliveries", s.outcome.arrived, s.outcome.deliveries)
	row("Published while no feed was subscribed", "%d (Redis said 0 receivers, or was not there)", s.outcome.unheard)
	row("Published without a reply, Redis being killed", "%d that did not arrive", s.outcome.unsure)
	row("In flight when Redis was killed or cut the feed", "%d, which clients were told of", s.outcome.lost)
	row("Lost otherwise, twice, out of order, or to another user", "%d", len(s.outcome.faults))
	row("From publishing to arrival, Redis's pauses included", "p50 %s, p99 %s, at most %s", s.quantile(0.5), s.quantile(0.99), s.quantile(1))
	row("What happened to Redis", "%s", counts(s.troubles))
	row("Kinds of troublemakers", "%d, who came %d times", len(s.kinds), s.visits())
	row("Honest clients who came meanwhile, let in", "%s", &s.newClients.handshakes)
	row("/health and /metrics answered", "%s; %s", &s.newClients.health, &s.newClients.metrics)
	row("Clients that were cut off and came back", "%d, who resumed %d times and got %d notifications; no hole without a gap", len(s.resumers), s.resumed.times, s.resumed.arrived)
	row("Connections in place of the user's own on a full server", "%s", &s.full.replaced)
	row("/health without descriptors", "%s", &s.full.starved)
	row("Connections admitted, refused", "%.0f, %.0f", s.metrics["roost_connections_accepted_total"], s.metrics.Sum("roost_connections_refused_total"))
	row("Deliveries accepted = sent + failed", "%.0f = %.0f + %.0f", s.metrics["roost_deliveries_accepted_total"],
		s.metrics["roost_deliveries_sent_total"], s.metrics.Sum("roost_deliveries_failed_total"))
	row("Panics", "%.0f", s.metrics["roost_panics_total"])
	row("Memory (RssAnon) before, at most as seen, after", "%s, %s, %s", mib(s.before.anon), mib(s.peak.anon), mib(s.after.anon))
	row("Memory (VmRSS)", "%s, %s, %s", mib(s.before.rss), mib(s.peak.rss), mib(s.after.rss))
	row("Descriptors", "%d, %d, %d", s.before.descriptors, s.peak.descriptors, s.after.descriptors)
	row("Goroutines", "%d, %d, %d", s.before.goroutines, s.peak.goroutines, s.after.goroutines)
	_ = lines.Flush() // a strings.Builder takes everything
	return text.String()
}

func (s *soak) visits() (n int64) {
	for i := range s.acts {
		n += s.acts[i].Load()
	}
	return n
}

// quantile sorts what it reads: the order of arrival is of no use by then.
func (s *soak) quantile(q float64) time.Duration {
	if len(s.took) == 0 {
		return 0
	}
	slices.Sort(s.took)
	return s.took[int(q*float64(len(s.took)-1))].Round(10 * time.Microsecond)
}

func counts(of map[string]int) string {
	var all []string
	for name, n := range of {
		all = append(all, fmt.Sprintf("%s: %d", name, n))
	}
	slices.Sort(all)
	return strings.Join(all, "; ")
}

func mib(bytes int) string { return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20)) }

const (
	opening = "<!-- soak: written by scripts/soak -->\n```text\n"
	closing = "```\n<!-- soak: end -->\n"
)

// between replaces what a page has between the two marks.
func between(page, text string) (string, error) {
	before, rest, ok := strings.Cut(page, opening)
	_, after, closed := strings.Cut(rest, closing)
	if !ok || !closed {
		return "", fmt.Errorf("there are no lines %q and %q", strings.TrimSpace(opening), strings.TrimSpace(closing))
	}
	return before + opening + text + closing + after, nil
}

func TestBetween(t *testing.T) {
	t.Parallel()
	page := "above\n" + opening + "old\n" + closing + "below\n"
	want := strings.Replace(page, "old", "new", 1)
	if got, err := between(page, "new\n"); err != nil || got != want {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := between("above\n"+closing+opening, "new"); err == nil {
		t.Error("marks in the wrong order are taken")
	}
}
