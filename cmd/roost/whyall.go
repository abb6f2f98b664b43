package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"

	"roost/cmd/roost/internal/config"
)

// several asks each of the servers, prints what each knows, and ends with the sum: a user may be connected to any.
func (c *whyCmd) several(env *environment, cfg config.Config, user string, servers []*url.URL) error {
	if c.Follow {
		return usageErrorf("--follow follows one server: name it with --url")
	}
	connections, silent := 0, 0
	for _, server := range servers {
		body, err := whyAsker(server, user, cfg.HTTPToken)(env.ctx)
		if err != nil {
			silent++
			_, _ = fmt.Fprintf(env.stderr, "roost: %v\n", err)
			continue
		}
		if c.JSON {
			if _, err := env.stdout.Write(body); err != nil {
				return err
			}
			continue
		}
		why, err := readWhy(body)
		if err != nil {
			return err
		}
		connections += why.Connections
		_, _ = fmt.Fprintf(env.stdout, "== %s\n", server.Host)
		if err := printWhy(env.stdout, why); err != nil {
			return err
		}
		_, _ = fmt.Fprintln(env.stdout)
	}
	if !c.JSON {
		_, _ = fmt.Fprintf(env.stdout, "%s has %d connections to the %d servers that answered%s\n",
			user, connections, len(servers)-silent, c.notAsked(env, cfg, len(servers)))
	}
	if silent > 0 {
		return errSaid
	}
	return nil
}

// notAsked says that Redis has more servers than were asked, where Redis can be asked and says so.
func (c *whyCmd) notAsked(env *environment, cfg config.Config, asked int) string {
	publisher, _, err := publisherFor(cfg, "")
	if err != nil {
		return ""
	}
	defer func() { _ = publisher.Close() }()
	ctx, cancel := context.WithTimeout(env.ctx, lookTime)
	defer cancel()
	subscribed, err := publisher.Servers(ctx)
	if err != nil || subscribed <= int64(asked) {
		return ""
	}
	return fmt.Sprintf("; %d servers are subscribed on %s, so %d were not asked", subscribed, cfg.RedisAddr(), subscribed-int64(asked))
}

// everyAddress is the server once for each address that its name has.
func everyAddress(ctx context.Context, server *url.URL) ([]*url.URL, error) {
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", server.Hostname())
	if err != nil {
		var name *net.DNSError
		if errors.As(err, &name) && name.IsNotFound {
			return nil, fmt.Errorf("there is no host called %s (HTTP_HOST, or --url)", server.Hostname())
		}
		return nil, fmt.Errorf("looking up the addresses of %s: %w", server.Hostname(), err)
	}
	for i := range addresses {
		addresses[i] = addresses[i].Unmap()
	}
	slices.SortFunc(addresses, netip.Addr.Compare)
	var all []*url.URL
	for _, address := range slices.Compact(addresses) {
		one := *server
		one.Host = address.String()
		if address.Is6() {
			one.Host = "[" + one.Host + "]"
		}
		if port := server.Port(); port != "" {
			one.Host += ":" + port
		}
		all = append(all, &one)
	}
	return all, nil
}
