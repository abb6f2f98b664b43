package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"

	"roost/bench/roostbench/internal/child"
	"roost/bench/roostbench/internal/dialect"
	"roost/bench/roostbench/internal/redisd"
)

// standConfig says what a stand starts.
type standConfig struct {
	Program   string
	Env       []string // of the program, beyond what it needs to know of the stand
	Host      string   // where the program listens; empty: 127.0.0.1
	Logs      string   // what the names of log files begin with; empty: they go away at the end
	Name      string   // in the names of log files that go away
	RedisArgs []string
	Files     int // the program's limit on open files; 0: ours
	Dialect   dialect.Dialect
}

// stand is a Redis and a server that were started to be measured.
type stand struct {
	redis  *redisd.Redis
	server *child.Process
	secret string         // that tokens are signed with
	at     netip.AddrPort // of WebSocket connections, on 127.0.0.1
	side   string         // port of metrics
	dir    string         // of logs that go away; empty: none
}

// startStand starts both and waits until the server is healthy. With an error it also returns what has been started.
func startStand(ctx context.Context, cfg standConfig) (*stand, error) {
	s := &stand{secret: rand.Text() + rand.Text()}
	if _, err := exec.LookPath(cfg.Program); err != nil {
		return s, fmt.Errorf("--program: %w", err)
	}
	logs := cfg.Logs
	if logs == "" {
		var err error
		if s.dir, err = os.MkdirTemp("", "roostbench-"); err != nil {
			return s, err
		}
		logs = s.dir + "/" + cfg.Name
	}
	var err error
	if s.redis, err = redisd.StartWith(ctx, logs, cfg.RedisArgs...); err != nil {
		return s, err
	}
	port, err1 := child.FreePort()
	side, err2 := child.FreePort()
	if err := errors.Join(err1, err2); err != nil {
		return s, err
	}
	s.at, s.side = netip.MustParseAddrPort("127.0.0.1:"+port), side
	host := cfg.Host
	if host == "" {
		host = "127.0.0.1"
	}
	program := []string{cfg.Program}
	if cfg.Files > 0 {
		program = []string{"sh", "-c", fmt.Sprintf(`ulimit -n %d && exec "$0"`, cfg.Files), cfg.Program}
	}
	s.server, err = child.Start(logs+".server.log", append([]string{
		"JWT_SECRET_KEY=" + s.secret, "WS_HOST=" + host, "WS_PORT=" + port, "HTTP_HOST=127.0.0.1", "HTTP_PORT=" + side,
		"REDIS_HOST=127.0.0.1", fmt.Sprintf("REDIS_PORT=%d", s.redis.Addrs()[0].Port()),
	}, cfg.Env...), program[0], program[1:]...)
	if err != nil {
		return s, err
	}
	health := port
	if cfg.Dialect.AdminHealth {
		health = side
	}
	if err := s.server.Await(ctx, child.Healthy(health)); err != nil {
		text, _ := os.ReadFile(logs + ".server.log")
		return s, fmt.Errorf("%w: %.500s", err, text)
	}
	return s, nil
}

// stop ends what was started.
func (s *stand) stop() {
	if s.server != nil {
		s.server.Stop()
	}
	s.redis.Stop()
	if s.dir != "" {
		_ = os.RemoveAll(s.dir)
	}
}
