package main

import (
	"errors"
	"fmt"
	"text/tabwriter"

	"roost/bench/roostbench/internal/dialect"
	"roost/bench/roostbench/internal/fairness"
	"roost/bench/roostbench/internal/raw"
	"roost/bench/roostbench/internal/rules"
)

// The limits of a server while it is flooded: they are low, so that a flood suffices that leaves honest clients on the
// same machine their share of the processors.
const (
	fairFiles       = 3000
	fairConnections = "WS_MAX_CONNECTIONS=1000"
	fairPerUser     = "WS_MAX_CONNECTIONS_PER_USER=0"
)

// fairness starts a server for it, and does everything that is in package fairness.
func (c *abuseCmd) fairness(env *environment, all *abuseReport) error {
	d, err := dialect.Named(c.Dialect)
	if err != nil {
		return err
	}
	variables := append([]string{fairConnections, fairPerUser}, c.Env...)
	cfg := fairness.Config{Dialect: d, Length: c.Fair, AdminAlone: d.AdminHealth, Broadcasts: c.Everyone}
	if c.JWKS {
		if cfg.Keys, err = fairness.NewKeys(); err != nil {
			return err
		}
		defer cfg.Keys.Close()
		variables = append(variables, "JWT_JWKS_URL="+cfg.Keys.URL)
	}
	logs := c.Logs
	if logs != "" {
		logs += ".fairness"
	}
	started, err := startStand(env.ctx, standConfig{
		Program: c.Program, Env: variables, Logs: logs, Name: "fairness", Files: fairFiles, Dialect: d, RedisArgs: burstRedis,
	})
	defer started.stop()
	if err != nil {
		return err
	}
	cfg.Target = raw.Target{Server: started.at, Path: "/ws" + d.Query, Secret: []byte(started.secret), Patience: c.Patience}
	cfg.Redis, cfg.PID, cfg.Admin = started.redis.Addrs()[0], started.server.PID(), "127.0.0.1:"+started.side
	all.Fairness, err = fairness.Run(env.ctx, cfg)
	if err != nil {
		return fmt.Errorf("fairness: %w", err)
	}
	return nil
}

func (c *abuseCmd) fairnessTable(env *environment, all []fairness.Result) error {
	if len(all) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(env.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(t, "\nverdict\twhile\tnew clients\tp99\t/health\t/metrics\tdelivered\tp99\tRssAnon\twhat was done\n")
	for _, r := range all {
		verdict := fairVerdict(r)
		if c.Failures && verdict == rules.Kept {
			continue
		}
		did := r.Did
		for _, why := range []string{r.Wronged, r.NewClients.Why, r.Health.Why, r.Metrics.Why, r.Delivered.Why} {
			if why != "" {
				did += "; " + why
				break
			}
		}
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s ms\t%s\t%s\t%s\t%s ms\t%.1f MiB\t%s\n", verdict, r.Name, served(r.NewClients), milli(r.NewClients.P99),
			served(r.Health), served(r.Metrics), served(r.Delivered), milli(r.Delivered.P99), r.Memory, did)
	}
	return errors.Join(t.Flush())
}

// served is a share as a text.
func served(s fairness.Share) string {
	if s.Tried == 0 {
		return "-"
	}
	return fmt.Sprintf("%d of %d", s.Served, s.Tried)
}
