package soak

import "time"

// slowReaders are connected and do not keep up with what is published for them.
func slowReaders() []troublemaker {
	const tooSlow = `roost_deliveries_failed_total{reason="slow_consumer"}`
	return []troublemaker{
		{name: "never reads", user: "slow", receive: 4096, shows: closedAs("write_timeout"), takes: 10 * time.Second,
			act: func(p *peer) { p.wait(8 * time.Second) }},
		{name: "never reads, reset", user: "slow", receive: 4096, shows: tooSlow, act: func(p *peer) {
			p.wait(3500 * time.Millisecond)
			p.reset()
		}},
		{name: "reads little by little", user: "slow", receive: 4096, shows: tooSlow, act: func(p *peer) {
			some := make([]byte, 512)
			for range 400 {
				if _, err := p.Read(some); err != nil {
					return
				}
				p.wait(20 * time.Millisecond)
			}
		}},
		{name: "in a group that gets too much", user: "member", group: flooded, shows: `roost_broadcasts_dropped_total{reason="queue_full"}`,
			act: func(p *peer) { p.takeFor(2 * time.Second) }},
		{name: "reads and answers no ping", user: "churn", shows: closedAs("pong_timeout"), takes: 30 * time.Second,
			act: func(p *peer) { p.takeAll() }},
	}
}
