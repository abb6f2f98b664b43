package suite

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"roost/bench/roostbench/internal/child"
	"roost/bench/roostbench/internal/report"
)

// ports are where a server listens. inside is what a secure one has beside its TLS port.
type ports struct{ client, side, inside string }

// environment is what a server is started with.
func (r run) environment(cfg Config, secret string, at ports, redisPort string) []string {
	plain := at.client
	if r.server.Secure {
		plain = at.inside
	}
	usual := []string{
		secret, "WS_HOST=127.0.0.1", "WS_PORT=" + plain, "HTTP_HOST=127.0.0.1", "HTTP_PORT=" + at.side,
		"REDIS_HOST=127.0.0.1", "REDIS_PORT=" + redisPort, "WS_MAX_CONNECTIONS=19000", "WS_MAX_CONNECTIONS_PER_USER=0", "WS_HANDSHAKE_RATE=0",
	}
	if r.server.Secure {
		usual = append(usual, "WS_TLS_HOST=127.0.0.1", "WS_TLS_PORT="+at.client,
			"WS_TLS_CERT_FILE="+cfg.certificate.chain, "WS_TLS_KEY_FILE="+cfg.certificate.key)
	}
	return append(append(usual, r.step.Env...), r.server.Env...)
}

// measure has one step measured of one server.
func (r run) measure(ctx context.Context, cfg Config, redisPort string) (report.Report, error) {
	// A step that hangs must not hold up the others for ever.
	ctx, cancel := context.WithTimeout(ctx, 2*r.step.Lasts+time.Minute)
	defer cancel()
	secret := "JWT_SECRET_KEY=" + rand.Text() + rand.Text()
	args := r.step.Args[:len(r.step.Args):len(r.step.Args)]
	name := filepath.Join(cfg.Dir, r.name())
	if r.step.Own {
		args = append(args, "--program="+r.server.Path, "--logs="+name)
		for _, variable := range append(r.step.Env[:len(r.step.Env):len(r.step.Env)], r.server.Env...) {
			args = append(args, "--env="+variable)
		}
		if r.server.Secure {
			args = append(args, "--tls-certificate="+cfg.certificate.chain, "--tls-key="+cfg.certificate.key)
		}
	} else {
		server, at, err := r.start(ctx, cfg, name+".log", secret, redisPort)
		if err != nil {
			return report.Report{}, err
		}
		defer server.Stop()
		if cfg.Perf {
			perf, err := record(name, server.PID())
			if err != nil {
				return report.Report{}, err
			}
			defer perf.Stop() // before the server, or it ends by itself
		}
		args = append(args, "--url="+r.scheme()+"://127.0.0.1:"+at.client+"/ws", "--pid="+strconv.Itoa(server.PID()),
			"--metrics=http://127.0.0.1:"+at.side+"/metrics?format=prometheus", "--server-log="+name+".log")
	}
	if d := r.server.Dialect; d.Name != "" {
		args = append(args, "--dialect="+d.Name)
	}
	if r.step.Redis {
		args = append(args, "--redis=127.0.0.1:"+redisPort)
	}
	return r.bench(ctx, cfg, name, secret, args)
}

// start starts the server and waits until it is healthy.
func (r run) start(ctx context.Context, cfg Config, log, secret, redisPort string) (*child.Process, ports, error) {
	client, err1 := child.FreePort()
	side, err2 := child.FreePort()
	inside, err3 := child.FreePort()
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, ports{}, err
	}
	at := ports{client, side, inside}
	server, err := child.Start(log, r.environment(cfg, secret, at, redisPort), r.server.Path)
	if err != nil {
		return nil, at, err
	}
	health := client
	if r.server.Dialect.AdminHealth || r.server.Secure {
		health = side
	}
	if err := server.Await(ctx, child.Healthy(health)); err != nil {
		server.Stop()
		return nil, at, err
	}
	if r.server.Secure { // a proxy may need longer
		if err := server.Await(ctx, child.Listening(client)); err != nil {
			server.Stop()
			return nil, at, err
		}
	}
	return server, at, nil
}

// scheme is how clients come.
func (r run) scheme() string {
	if r.server.Secure {
		return "wss"
	}
	return "ws"
}

// record begins to record a process: "perf report -i NAME.perf" shows it.
func record(name string, pid int) (*child.Process, error) {
	const often = "199" // samples a second
	return child.Start(name+".perf.log", nil, "perf", "record", "-q", "-g", "-F", often, "-o", name+".perf", "-p", strconv.Itoa(pid))
}

// bench runs roostbench and reads its report.
func (r run) bench(ctx context.Context, cfg Config, name, secret string, args []string) (report.Report, error) {
	args = append(args, "--label="+r.server.Label, "--step="+r.step.ID, "--json="+name+".json", "--quiet")
	bench := exec.CommandContext(ctx, cfg.Bench, args...)
	bench.Env = append(os.Environ(), secret)
	if output, err := bench.CombinedOutput(); err != nil {
		return report.Report{}, fmt.Errorf("%w: %s", err, strings.TrimSpace(string(output)))
	}
	result, err := report.ReadFile(name + ".json")
	result.Title, result.Round = r.step.Title, r.round+1
	return result, err
}

// name is for files.
func (r run) name() string {
	safe := strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			return c
		}
		return '-'
	}, r.server.Label)
	return fmt.Sprintf("%s.%s.%d", r.step.ID, safe, r.round+1)
}

func (r run) String() string {
	return fmt.Sprintf("%s, round %d: %s", r.step.ID, r.round+1, r.server.Label)
}
