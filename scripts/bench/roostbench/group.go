package main

import (
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"sync"

	"roost/bench/roostbench/internal/child"
	"roost/bench/roostbench/internal/crowd"
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

// startServers starts the server processes, which share a port, and waits until
// each is healthy. With an error it also returns what has been started.
func (c *crowdCmd) startServers(env *environment, redis netip.AddrPort) (group, string, error) {
	port, err := child.FreePort()
	if err != nil {
		return nil, "", err
	}
	var servers group
	var sides []string
	for i := range c.Processes {
		side, err := child.FreePort()
		if err != nil {
			return servers, "", err
		}
		variables := append([]string{
			"JWT_SECRET_KEY=" + c.Secret, "WS_HOST=127.0.0.1", "WS_PORT=" + port, "WS_REUSE_PORT=true",
			"HTTP_HOST=127.0.0.1", "HTTP_PORT=" + side, "WS_MAX_CONNECTIONS=19000", "WS_MAX_CONNECTIONS_PER_USER=0", "WS_HANDSHAKE_RATE=0",
			"REDIS_HOST=" + redis.Addr().String(), fmt.Sprintf("REDIS_PORT=%d", redis.Port()),
		}, c.Env...)
		p, err := child.Start(fmt.Sprintf("%s.server-%d.log", c.Logs, i+1), variables, c.Program)
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
	return servers, "ws://127.0.0.1:" + port + "/ws", nil
}

// memberSources is how many source addresses a member has: 16 times 15 of the
// 250 that there are, with 28,000 ports each.
const memberSources = 15

// startMembers starts the processes that connect. Each has its own users and
// source addresses.
func (c *crowdCmd) startMembers(url string) (group, *crowd.Crowd, error) {
	bench, err := os.Executable()
	if err != nil {
		return nil, nil, fmt.Errorf("where this program is: %w", err)
	}
	var members group
	var voices []crowd.Voice
	first := 0
	for i := range c.Processes {
		share := (c.Connections - first) / (c.Processes - i)
		p, orders, answers, err := child.Talk(fmt.Sprintf("%s.member-%d.log", c.Logs, i+1), []string{"JWT_SECRET_KEY=" + c.Secret},
			bench, "member", "--url="+url, "--pid="+strconv.Itoa(os.Getpid()), fmt.Sprintf("--connections=%d", share),
			fmt.Sprintf("--first-user=%d", first), fmt.Sprintf("--first-source=%d", i*memberSources), fmt.Sprintf("--sources=%d", memberSources),
			fmt.Sprintf("--connect-rate=%v", c.Rate/float64(c.Processes)))
		if err != nil {
			return members, nil, err
		}
		members, voices = append(members, p), append(voices, crowd.Voice{Orders: orders, Answers: answers})
		first += share
	}
	return members, crowd.New(voices), nil
}
