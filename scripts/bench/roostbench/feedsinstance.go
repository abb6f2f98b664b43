package main

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"

	"roost/bench/roostbench/internal/child"
	"roost/bench/roostbench/internal/scrape"
)

// instance is one process of the server.
type instance struct {
	process *child.Process
	at      netip.AddrPort // of WebSocket connections
	metrics string         // URL
	health  string         // port
}

// instances are several.
type instances []instance

func (is instances) stop() {
	var all sync.WaitGroup
	for _, i := range is {
		all.Go(i.process.Stop)
	}
	all.Wait()
}

// start starts n instances, and waits until each is healthy. With an error it also returns what has been started.
func (m *feedMeasurement) start(n int) (instances, error) {
	var all instances
	for i := range n {
		port, err1 := child.FreePort()
		side, err2 := child.FreePort()
		if err := errors.Join(err1, err2); err != nil {
			return all, err
		}
		variables := append([]string{
			"JWT_SECRET_KEY=" + m.secret, "WS_HOST=127.0.0.1", "WS_PORT=" + port, "HTTP_HOST=127.0.0.1", "HTTP_PORT=" + side,
			"WS_MAX_CONNECTIONS=19000", "WS_HANDSHAKE_RATE=0", "WS_MESSAGE_RATE=0",
			"REDIS_FEED=" + m.feed, "REDIS_FEED_MAX_ATTEMPTS=0", "REDIS_FEED_RETRY_DELAY=" + m.RetryDelay.String(),
		}, append(m.whereRedisIs(), m.Env...)...)
		p, err := child.Start(fmt.Sprintf("%s.server-%d.log", m.name, i+1), variables, m.Program)
		if err != nil {
			return all, err
		}
		all = append(all, instance{p, netip.MustParseAddrPort("127.0.0.1:" + port), "http://127.0.0.1:" + side + "/metrics?format=prometheus", side})
	}
	for _, i := range all {
		if err := i.process.Await(m.env.ctx, child.Healthy(i.health)); err != nil {
			return all, err
		}
	}
	return all, nil
}

func (m *feedMeasurement) whereRedisIs() []string {
	addrs := m.redis.Addrs()
	if !m.redis.Cluster() {
		return []string{"REDIS_HOST=127.0.0.1", fmt.Sprintf("REDIS_PORT=%d", addrs[0].Port())}
	}
	var nodes []string
	for _, a := range addrs {
		nodes = append(nodes, a.String())
	}
	return []string{"REDIS_CLUSTER=true", "REDIS_ADDRS=" + strings.Join(nodes, ",")}
}

// Names of the server's own figures.
const (
	metricReceived     = "roost_notifications_received_total"
	metricFeedBusy     = "roost_feed_busy_seconds_total"
	metricRedisUp      = "roost_redis_up"
	metricSubscribed   = `roost_feed_users{state="heard"}`
	metricUnsubscribed = `roost_feed_users{state="unheard"}`
)

func (m *feedMeasurement) scrape(i instance) (scrape.Values, error) {
	return scrape.Get(m.env.ctx, i.metrics)
}
