package suite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"roost/bench/roostbench/internal/child"
	"roost/bench/roostbench/internal/report"
)

// Config says what to run.
type Config struct {
	Bench   string // roostbench itself
	Servers []Server
	Steps   []Step
	Rounds  int           // of a step at most, where it is not 0
	Limit   time.Duration // what would last beyond it is left out
	Dir     string        // for reports and logs
	Perf    bool          // record where the servers' CPU time goes, beside the reports
	Log     io.Writer

	certificate certificate // of servers that are Secure
}

// Outcome is what a suite leaves.
type Outcome struct {
	Reports []report.Report
	LeftOut []string // measurements for which no time was left
	Failed  []string // measurements that failed, and why
}

// errFailed is wrapped by Run's error when measurements failed.
var errFailed = errors.New("measurements failed")

// Run measures everything. A measurement that fails is told and left out.
func Run(ctx context.Context, cfg Config) (Outcome, error) {
	if err := os.MkdirAll(cfg.Dir, 0o755); err != nil {
		return Outcome{}, err
	}
	redisPort, err := child.FreePort()
	if err != nil {
		return Outcome{}, err
	}
	if cfg.certificate, err = newCertificate(cfg.Dir); err != nil {
		return Outcome{}, err
	}
	redis, err := child.Start(filepath.Join(cfg.Dir, "redis.log"), nil, "redis-server",
		"--port", redisPort, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
	if err != nil {
		return Outcome{}, err
	}
	defer redis.Stop()
	if err := redis.Await(ctx, child.Listening(redisPort)); err != nil {
		return Outcome{}, err
	}
	return runAll(ctx, cfg, redisPort)
}

func runAll(ctx context.Context, cfg Config, redisPort string) (Outcome, error) {
	var out Outcome
	all, began := runs(cfg), time.Now()
	for i, r := range all {
		if err := ctx.Err(); err != nil {
			return out, err
		}
		if time.Since(began)+r.step.Lasts > cfg.Limit {
			_, _ = fmt.Fprintf(cfg.Log, "no time is left for %s\n", r)
			out.LeftOut = append(out.LeftOut, r.String())
			continue
		}
		_, _ = fmt.Fprintf(cfg.Log, "%5.0fs [%d/%d] %s\n", time.Since(began).Seconds(), i+1, len(all), r)
		result, err := r.measure(ctx, cfg, redisPort)
		if err != nil {
			err = fmt.Errorf("%s: %w", r, err)
			_, _ = fmt.Fprintln(cfg.Log, err)
			out.Failed = append(out.Failed, err.Error())
			continue
		}
		out.Reports = append(out.Reports, result)
	}
	if len(out.Failed) > 0 {
		return out, fmt.Errorf("%w: %d of %d", errFailed, len(out.Failed), len(all))
	}
	return out, nil
}
