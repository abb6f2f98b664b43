package suite

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"roost/cmd/roostbench/internal/report"
)

// Server is a program to measure. It takes Roost's variables.
type Server struct{ Label, Path string }

// Config says what to run.
type Config struct {
	Bench   string // roostbench itself
	Servers []Server
	Steps   []Step
	Rounds  int
	Dir     string // for reports and logs
	Log     io.Writer
}

// run is one measurement.
type run struct {
	server Server
	step   Step
	round  int
}

// runs is the order: round by round, step by step, server by server.
func runs(cfg Config) []run {
	var all []run
	for round := range cfg.Rounds {
		for _, step := range cfg.Steps {
			for _, server := range cfg.Servers {
				if step.in(round) {
					all = append(all, run{server, step, round})
				}
			}
		}
	}
	return all
}

// Run measures everything and returns the reports. A measurement that fails is
// told and left out; errors are those of all.
func Run(ctx context.Context, cfg Config) ([]report.Report, error) {
	if err := os.MkdirAll(cfg.Dir, 0o755); err != nil {
		return nil, err
	}
	redisPort, err := freePort()
	if err != nil {
		return nil, err
	}
	redis, err := start(filepath.Join(cfg.Dir, "redis.log"), nil, "redis-server",
		"--port", redisPort, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
	if err != nil {
		return nil, err
	}
	defer redis.stop()
	if err := redis.await(ctx, listening(redisPort)); err != nil {
		return nil, err
	}
	var reports []report.Report
	var failures []error
	all := runs(cfg)
	for i, r := range all {
		if ctx.Err() != nil {
			break
		}
		_, _ = fmt.Fprintf(cfg.Log, "[%d/%d] %s: %s\n", i+1, len(all), r.step.Name, r.server.Label)
		result, err := r.measure(ctx, cfg, redisPort)
		if err != nil {
			err = fmt.Errorf("%s, round %d: %s: %w", r.step.Name, r.round+1, r.server.Label, err)
			_, _ = fmt.Fprintln(cfg.Log, err)
			failures = append(failures, err)
			continue
		}
		reports = append(reports, result)
	}
	return reports, errors.Join(append(failures, ctx.Err())...)
}

// measure starts the server, has it measured, and ends it.
func (r run) measure(ctx context.Context, cfg Config, redisPort string) (report.Report, error) {
	port, err1 := freePort()
	sidePort, err2 := freePort()
	if err := errors.Join(err1, err2); err != nil {
		return report.Report{}, err
	}
	secret := "JWT_SECRET_KEY=" + rand.Text() + rand.Text()
	env := append([]string{
		secret, "WS_HOST=127.0.0.1", "WS_PORT=" + port, "HTTP_HOST=127.0.0.1", "HTTP_PORT=" + sidePort,
		"REDIS_HOST=127.0.0.1", "REDIS_PORT=" + redisPort, "WS_MAX_CONNECTIONS=19000",
	}, r.step.Env...)
	name := filepath.Join(cfg.Dir, r.name())
	server, err := start(name+".log", env, r.server.Path)
	if err != nil {
		return report.Report{}, err
	}
	defer server.stop()
	if err := server.await(ctx, healthy(port)); err != nil {
		return report.Report{}, err
	}
	args := append(r.step.Args[:len(r.step.Args):len(r.step.Args)],
		"--url=ws://127.0.0.1:"+port+"/ws", "--pid="+strconv.Itoa(server.cmd.Process.Pid),
		"--label="+r.server.Label, "--step="+r.step.Name, "--json="+name+".json", "--quiet")
	if r.step.Redis {
		args = append(args, "--redis=127.0.0.1:"+redisPort)
	}
	bench := exec.CommandContext(ctx, cfg.Bench, args...)
	bench.Env = append(os.Environ(), secret)
	if output, err := bench.CombinedOutput(); err != nil {
		return report.Report{}, fmt.Errorf("%w: %s", err, strings.TrimSpace(string(output)))
	}
	return report.ReadFile(name + ".json")
}

// name is for files.
func (r run) name() string {
	safe := strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			return c
		}
		return '-'
	}, r.step.Name)
	return fmt.Sprintf("%s.%s.%d", safe, r.server.Label, r.round+1)
}
