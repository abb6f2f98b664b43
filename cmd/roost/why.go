package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"roost/cmd/roost/internal/config"
	"roost/cmd/roost/internal/remote"
	"roost/httpapi"
	"roost/internal/pause"
	"roost/internal/plural"
)

type whyCmd struct {
	oneUser
	trustFlag
	URL    []string `name:"url" placeholder:"URL" help:"The admin server to ask, such as http://localhost:8082; for several servers, give it again. Without it: HTTP_HOST and HTTP_PORT of the settings. HTTP_TOKEN of the settings is sent along."`
	All    bool     `help:"Ask the server at each address that the name in --url has, as that of a headless service in Kubernetes, and say whether Redis knows of more."`
	Follow bool     `short:"f" help:"Go on, and print what becomes of each notification, until interrupted."`
	JSON   bool     `name:"json" help:"Print what the server says, as JSON; of several servers, a line each."`
}

// followEvery is how often the server is asked by someone who follows.
const followEvery = time.Second

// ask gets what a server knows of the user now.
type ask func(context.Context) ([]byte, error)

// Run asks servers about a user. The first question makes a server watch what becomes of the user's notifications.
func (c *whyCmd) Run(env *environment) error {
	user, err := c.user()
	if err == nil {
		err = checkUser(user)
	}
	if err != nil {
		return err
	}
	cfg, err := env.config()
	if err != nil {
		return err
	}
	servers, err := c.servers(env)
	if err != nil {
		return err
	}
	if len(servers) > 1 || c.All {
		return c.several(env, cfg, user, servers)
	}
	return c.one(env, whyAsker(servers[0], user, cfg.HTTPToken))
}

// servers are the addresses to ask.
func (c *whyCmd) servers(env *environment) (all []adminServer, err error) {
	given := c.URL
	if len(given) == 0 {
		given = []string{""}
	}
	for _, one := range given {
		server, err := c.adminServer(env, one)
		if err != nil {
			return nil, err
		}
		if !c.All {
			all = append(all, server)
			continue
		}
		addresses, err := everyAddress(env.ctx, server.url)
		if err != nil {
			return nil, err
		}
		client := server.client
		if one != "" { // their certificates are for the name
			if client, err = (remote.Trust{CAFile: c.CAFile, Name: server.url.Hostname()}).Client(); err != nil {
				return nil, err
			}
		}
		for _, address := range addresses {
			all = append(all, adminServer{url: address, client: client})
		}
	}
	return all, nil
}

// whyAsker asks one server about one user.
func whyAsker(server adminServer, user, token string) ask {
	page := server.at("why")
	page.url.RawQuery = url.Values{"user": {user}}.Encode()
	return func(ctx context.Context) ([]byte, error) { return page.ask(ctx, token) }
}

// one asks a single server, and goes on asking where that is wanted.
func (c *whyCmd) one(env *environment, ask ask) error {
	body, err := ask(env.ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		_, err = env.stdout.Write(body)
		return err
	}
	why, err := readWhy(body)
	if err != nil {
		return err
	}
	if err := printWhy(env.stdout, why); err != nil || !c.Follow {
		return err
	}
	return follow(env, ask, why)
}

func readWhy(body []byte) (*httpapi.Why, error) {
	var why httpapi.Why
	if err := json.Unmarshal(body, &why); err != nil {
		return nil, fmt.Errorf("the server's answer can't be read: %w", err)
	}
	return &why, nil
}

// printWhy prints for reading by eye.
func printWhy(out io.Writer, w *httpapi.Why) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(table, format+"\n", args...) }
	line("%s", w.Verdict)
	if w.Problem != "" {
		line("incomplete: %s", w.Problem)
	}
	line("\nconnections: %d", w.Connections)
	rows := connectionRows(w.Open)
	if len(w.Open) > 0 {
		line("%s", rows[0])
	}
	for i, c := range w.Open {
		line("%s", rows[i+1])
		if c.ID != "" {
			line("    its id is %s", c.ID)
		}
		if c.Expires != nil {
			line("    its token expires %s", moment(*c.Expires))
		}
		if len(c.Groups) > 0 {
			line("    in %s", groupList(&c))
		}
	}
	line("\nnotifications since %s: %d", moment(w.WatchedSince), w.Seen)
	for i := range w.Latest {
		line("  %s", notificationLine(&w.Latest[i]))
	}
	line("\nwatched until %s, or longer if asked again", moment(w.WatchedUntil))
	return table.Flush()
}

// connectionRows is the table of connections, its heading first. It is laid out before the lines that stand between its rows.
func connectionRows(open []httpapi.WhyConnection) []string {
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "  since\tfrom\tlast heard\twaiting\ttakes nothing for\tnot acknowledged")
	for _, c := range open {
		stalled := "-"
		if c.StalledFor > 0 {
			stalled = seconds(c.StalledFor)
		}
		from := c.Remote
		if how := c.How(); how != "" {
			from += " (" + how + ")"
		}
		_, _ = fmt.Fprintf(table, "  %s\t%s\t%s ago\t%d, %d bytes\t%s\t%d bytes\n",
			moment(c.Since), from, seconds(c.HeardSeconds), c.Waiting, c.WaitingBytes, stalled, c.UnackedBytes)
	}
	_ = table.Flush()
	return strings.Split(text.String(), "\n")
}

// groupList is the groups that a connection is in.
func groupList(c *httpapi.WhyConnection) string {
	named := slices.Clone(c.Groups)
	for i, group := range named {
		if slices.Contains(c.Joined, group) {
			named[i] += " (joined)"
		}
	}
	return "the groups " + strings.Join(named, ", ")
}

// follow prints each notification whenever something new is known of it.
func follow(env *environment, ask ask, seen *httpapi.Why) error {
	shown := make(map[int]string) // by the notification's number since the watch began
	note := func(w *httpapi.Why, show bool) {
		first := w.Seen - len(w.Latest)
		maps.DeleteFunc(shown, func(n int, _ string) bool { return n < first })
		for i := range w.Latest {
			text := notificationLine(&w.Latest[i])
			if show && shown[first+i] != text {
				_, _ = fmt.Fprintln(env.stdout, strings.ReplaceAll(text, "\t", "  "))
			}
			shown[first+i] = text
		}
	}
	note(seen, false)
	for pause.For(env.ctx, followEvery) {
		body, err := ask(env.ctx)
		switch {
		case errors.Is(err, context.Canceled):
			return nil
		case err != nil:
			return err
		}
		now, err := readWhy(body)
		if err != nil {
			return err
		}
		if !now.WatchedSince.Equal(seen.WatchedSince) { // another process, or a watch that had ended
			clear(shown)
			seen = now
		}
		note(now, true)
	}
	return nil
}

// notificationLine has its columns apart by tabs.
func notificationLine(n *httpapi.WhyNotification) string {
	at := n.At.UTC().Format("15:04:05.000")
	if n.Problem != "" {
		return fmt.Sprintf("%s\t%s\t%d bytes\t%s", at, n.Outcome, n.Bytes, n.Problem)
	}
	parts := []string{fmt.Sprintf("sent to %d of %d", n.Sent, n.Connections)}
	if n.Unacked > 0 {
		parts = append(parts, fmt.Sprintf("%d of them not acknowledged", n.Unacked))
	}
	if n.Queued > 0 {
		parts = append(parts, fmt.Sprintf("%d queued", n.Queued))
	}
	for _, reason := range slices.Sorted(maps.Keys(n.Failed)) {
		parts = append(parts, fmt.Sprintf("%d %s", n.Failed[reason], reason))
	}
	if n.TookMS > 0 {
		parts = append(parts, fmt.Sprintf("%.2f ms", n.TookMS))
	}
	if n.Replayed {
		parts = append(parts, "replayed to a connection that had missed it")
	}
	if n.Via != "" {
		parts = append(parts, "for "+n.Via)
	}
	if n.Traceparent != "" {
		parts = append(parts, "traceparent "+n.Traceparent)
	}
	return fmt.Sprintf("%s\t%s\t%d bytes\t%q\t%s", at, n.Outcome, n.Bytes, n.Type, strings.Join(parts, ", "))
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

func seconds(s float64) string {
	return (time.Duration(s * float64(time.Second))).Round(time.Second).String()
}

// several asks each of the servers, prints what each knows, and ends with the sum: a user may be connected to any.
func (c *whyCmd) several(env *environment, cfg config.Config, user string, servers []adminServer) error {
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
		_, _ = fmt.Fprintf(env.stdout, "== %s\n", server.url.Host)
		if err := printWhy(env.stdout, why); err != nil {
			return err
		}
		_, _ = fmt.Fprintln(env.stdout)
	}
	if !c.JSON {
		_, _ = fmt.Fprintf(env.stdout, "%s has %s to the %s that answered%s\n",
			user, plural.Count(connections, "connection"), plural.Count(len(servers)-silent, "server"), c.notAsked(env, cfg, len(servers)))
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
	ctx, cancel := context.WithTimeout(env.ctx, 2*time.Second)
	defer cancel()
	subscribed, err := publisher.Servers(ctx)
	if err != nil || subscribed <= int64(asked) {
		return ""
	}
	return fmt.Sprintf("; %d servers are subscribed on %s, so the question did not go to %d of them", subscribed, cfg.RedisAddr(), subscribed-int64(asked))
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
