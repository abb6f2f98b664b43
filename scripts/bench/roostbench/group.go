package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"sync"

	"roost/bench/roostbench/internal/child"
	"roost/bench/roostbench/internal/controller"
)

// group is processes that we started.
type group []*child.Process

// stop ends all of them, at the same time.
func (g group) stop() {
	var all sync.WaitGroup
	for _, p := range g {
		all.Go(p.Stop)
	}
	all.Wait()
}

// startServers starts the server processes, whose clients share a port, and waits until
// each is healthy. With an error it also returns what has been started.
func (c *scaleCmd) startServers(env *environment, redis netip.AddrPort) (group, string, error) {
	port, err := child.FreePort()
	if err != nil {
		return nil, "", err
	}
	var servers group
	var sides []string
	scheme := "ws"
	if c.Certificate != "" {
		scheme = "wss"
	}
	for i := range c.Processes {
		side, err1 := child.FreePort()
		inside, err2 := child.FreePort()
		if err := errors.Join(err1, err2); err != nil {
			return servers, "", err
		}
		p, err := child.Start(fmt.Sprintf("%s.server-%d.log", c.Logs, i+1), append(c.variables(redis, port, side, inside), c.Env...), c.Program)
		if err != nil {
			return servers, "", err
		}
		servers, sides = append(servers, p), append(sides, side)
	}
	for i, p := range servers {
		if err := p.Await(env.ctx, child.Healthy(sides[i])); err != nil {
			return servers, "", err
		}
	}
	if err := servers[len(servers)-1].Await(env.ctx, child.Listening(port)); err != nil { // a proxy may need longer
		return servers, "", err
	}
	return servers, scheme + "://127.0.0.1:" + port + "/ws", nil
}

// variables are those of a server whose clients come to port. With TLS it has a plain port inside as well, for itself.
func (c *scaleCmd) variables(redis netip.AddrPort, port, side, inside string) []string {
	all := []string{
		"JWT_SECRET_KEY=" + c.Secret, "WS_HOST=127.0.0.1", "WS_REUSE_PORT=true",
		"HTTP_HOST=127.0.0.1", "HTTP_PORT=" + side, "WS_MAX_CONNECTIONS=19000", "WS_MAX_CONNECTIONS_PER_USER=0", "WS_HANDSHAKE_RATE=0",
		"REDIS_HOST=" + redis.Addr().String(), fmt.Sprintf("REDIS_PORT=%d", redis.Port()),
	}
	if c.Certificate == "" {
		return append(all, "WS_PORT="+port)
	}
	return append(all, "WS_PORT="+inside, "WS_TLS_HOST=127.0.0.1", "WS_TLS_PORT="+port, "WS_TLS_CERT_FILE="+c.Certificate, "WS_TLS_KEY_FILE="+c.Key)
}

// workerSources is how many source addresses a worker has: 16 times 15 of the
// 250 that there are, with 28,000 ports each.
const workerSources = 15

// startWorkers starts the processes that connect. Each has its own users and
// source addresses.
func (c *scaleCmd) startWorkers(url string) (group, *controller.Controller, error) {
	bench, err := os.Executable()
	if err != nil {
		return nil, nil, fmt.Errorf("where this program is: %w", err)
	}
	var workers group
	var pipes []controller.Pipes
	first := 0
	for i := range c.Processes {
		share := (c.Connections - first) / (c.Processes - i)
		p, commands, responses, err := child.Talk(fmt.Sprintf("%s.worker-%d.log", c.Logs, i+1), []string{"JWT_SECRET_KEY=" + c.Secret},
			bench, "worker", "--url="+url, "--pid="+strconv.Itoa(os.Getpid()), fmt.Sprintf("--connections=%d", share),
			fmt.Sprintf("--first-user=%d", first), fmt.Sprintf("--first-source=%d", i*workerSources), fmt.Sprintf("--sources=%d", workerSources),
			fmt.Sprintf("--connect-rate=%v", c.Rate/float64(c.Processes)), fmt.Sprintf("--in-flight=%d", c.InFlight))
		if err != nil {
			return workers, nil, err
		}
		workers, pipes = append(workers, p), append(pipes, controller.Pipes{Commands: commands, Responses: responses})
		first += share
	}
	return workers, controller.New(pipes), nil
}
