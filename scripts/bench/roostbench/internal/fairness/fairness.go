package fairness

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"roost/bench/roostbench/internal/bystanders"
	"roost/bench/roostbench/internal/dialect"
	"roost/bench/roostbench/internal/note"
	"roost/bench/roostbench/internal/procfs"
	"roost/bench/roostbench/internal/raw"
)

// Config says who is flooded, and for how long. Cases that need something that is not set are left out.
type Config struct {
	Target  raw.Target // its Patience is how long an honest client waits; its Source is not looked at
	Dialect dialect.Dialect
	Length  time.Duration  // of each case
	Redis   netip.AddrPort // that the server listens to; needed
	PID     int            // the server's process, for its memory; 0: not known

	Admin      string // host:port of the admin server; "": not known
	AdminAlone bool   // /health is there, and not at Target
	Keys       *Keys  // the server takes tokens of key pairs, too
	Broadcasts bool   // the server takes notifications for everyone, and for groups
}

// Share is how many of those who asked were served.
type Share struct {
	Tried  int           `json:"tried"`
	Served int           `json:"served"`
	P99    time.Duration `json:"p99"`           // ns, of those who were served
	Why    string        `json:"why,omitempty"` // the first who was not
}

// Percent is the share; 100 where nobody asked.
func (s Share) Percent() float64 {
	if s.Tried == 0 {
		return 100
	}
	return 100 * float64(s.Served) / float64(s.Tried)
}

// Result is what came of a case.
type Result struct {
	Name       string  `json:"name"`
	Did        string  `json:"did"` // what was done meanwhile, and how often
	NewClients Share   `json:"new_clients"`
	Health     Share   `json:"health"`
	Metrics    Share   `json:"metrics"`           // none tried: where they are is not known
	Delivered  Share   `json:"delivered"`         // notifications of those who were connected before
	Lost       int     `json:"lost"`              // connections of these
	Memory     float64 `json:"memory"`            // MiB of RssAnon, the most; 0: not known
	Wronged    string  `json:"wronged,omitempty"` // what the case itself found to be wrong
}

// enough is which share of honest new clients has to be served.
const enough = 99

// Kept says whether the honest were served.
func (r Result) Kept() bool {
	return r.NewClients.Percent() >= enough && r.Health.Percent() == 100 && r.Metrics.Percent() == 100 &&
		r.Delivered.Percent() == 100 && r.Lost == 0 && r.Wronged == ""
}

// kind is one case.
type kind struct {
	name  string
	needs func(Config) bool // nil: nothing
	do    func(context.Context, *attack)
}

// Run makes all cases, one after the other. The first result is how the honest fare when nobody does harm.
func Run(ctx context.Context, cfg Config) ([]Result, error) {
	var all []Result
	for _, k := range kinds() {
		if k.needs != nil && !k.needs(cfg) {
			continue
		}
		r, err := cfg.inflict(ctx, k)
		if err != nil && (len(all) == 0 || ctx.Err() != nil) {
			return all, fmt.Errorf("%s: %w", k.name, err)
		}
		if err != nil { // what the case before has left
			r = Result{Name: k.name, NewClients: Share{Tried: bystanderUsers}, Wronged: "admits nobody since the case before", Memory: cfg.anon()}
			r.NewClients.Why = err.Error()
			all = append(all, r)
			return all, nil
		}
		all = append(all, r)
	}
	return all, ctx.Err()
}

// Names are those of all cases, in their order.
func Names() []string {
	var all []string
	for _, k := range kinds() {
		all = append(all, k.name)
	}
	return all
}

// The clients that are connected before, and how many notifications a second they get together.
const (
	bystanderUsers  = 20
	bystanderRate   = 200
	bystanderSource = 200 // 127.0.0.202 and on
)

// begun is how long a case has been going on before the honest are looked at: what is to be full has to be full.
const begun = 500 * time.Millisecond

// inflict makes one case.
func (cfg Config) inflict(ctx context.Context, k kind) (Result, error) {
	b, err := bystanders.Start(ctx, bystanders.Config{
		Server: cfg.Target.Server, Path: cfg.Target.Path, Secret: cfg.Target.Secret, Redis: cfg.Redis, Dialect: cfg.Dialect,
		Users: bystanderUsers, Rate: bystanderRate, FirstSource: bystanderSource, Sources: bystanderUsers, Asides: true,
	}, note.NewClock())
	if err != nil {
		return Result{}, fmt.Errorf("honest clients, before: %w", err)
	}
	b.Measure()
	harm, stop := context.WithCancel(ctx)
	a := newAttack(cfg)
	done := make(chan struct{})
	go func() { defer close(done); k.do(harm, a) }()
	sleep(ctx, begun)
	h := cfg.watch(ctx)
	sleep(ctx, cfg.Length)
	h.finish()
	stop()
	<-done
	r := Result{
		Name: k.name, Did: a.did(), Wronged: a.wronged(),
		NewClients: h.newClients.share(), Health: h.health.share(), Metrics: h.metrics.share(), Memory: h.memory,
	}
	received := b.Received()
	p99 := b.P99()
	o, err := b.Stop()
	r.Delivered = Share{Tried: max(b.Received(), received) + o.Missing, Served: b.Received(), P99: time.Duration(p99 * 1e6)}
	r.Lost = o.Lost
	for why := range o.Problems {
		r.Delivered.Why = why
	}
	return r, err
}

// sleep ends early when ctx does.
func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// anon is the server's RssAnon in MiB.
func (cfg Config) anon() float64 {
	if cfg.PID == 0 {
		return 0
	}
	s, err := procfs.Read(cfg.PID)
	if err != nil {
		return 0
	}
	return float64(s.Anon) / (1 << 20)
}
