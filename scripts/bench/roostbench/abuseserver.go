package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"

	"roost/bench/roostbench/internal/child"
)

// abused is what was started to be abused.
type abused struct {
	redis, server *child.Process
	logs          string // a directory that goes away; empty: none
}

// stop ends what was started.
func (a *abused) stop() {
	for _, p := range []*child.Process{a.server, a.redis} {
		if p != nil {
			p.Stop()
		}
	}
	if a.logs != "" {
		_ = os.RemoveAll(a.logs)
	}
}

// start starts a Redis and the program, and points the flags to it. What has been
// started is returned with an error too.
func (c *abuseCmd) start(ctx context.Context) (*abused, error) {
	a := &abused{}
	logs := c.Logs
	if logs == "" {
		dir, err := os.MkdirTemp("", "roostbench-")
		if err != nil {
			return a, err
		}
		a.logs, logs = dir, dir+"/abuse"
	}
	redisPort, err1 := child.FreePort()
	port, err2 := child.FreePort()
	side, err3 := child.FreePort()
	if err := errors.Join(err1, err2, err3); err != nil {
		return a, err
	}
	var err error
	a.redis, err = child.Start(logs+".redis.log", nil, "redis-server", "--port", redisPort, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
	if err != nil {
		return a, err
	}
	if err := a.redis.Await(ctx, child.Listening(redisPort)); err != nil {
		return a, err
	}
	c.Secret = rand.Text() + rand.Text()
	c.URL = "ws://127.0.0.1:" + port + "/ws"
	a.server, err = child.Start(logs+".server.log", append([]string{
		"JWT_SECRET_KEY=" + c.Secret, "WS_HOST=127.0.0.1", "WS_PORT=" + port, "HTTP_HOST=127.0.0.1", "HTTP_PORT=" + side,
		"REDIS_HOST=127.0.0.1", "REDIS_PORT=" + redisPort,
	}, c.Env...), c.Program)
	if err != nil {
		return a, err
	}
	c.PID = a.server.PID()
	if err := a.server.Await(ctx, child.Healthy(port)); err != nil {
		text, _ := os.ReadFile(logs + ".server.log")
		return a, fmt.Errorf("%w: %.500s", err, text)
	}
	return a, nil
}
