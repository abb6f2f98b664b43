package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"roost/cmd/roost/internal/config"
	"roost/httpapi"
)

type whyCmd struct {
	User   string `arg:"" help:"The user who gets nothing, or who gets something."`
	URL    string `name:"url" placeholder:"URL" help:"The side server to ask, such as http://localhost:8082. Without it: the HTTP_HOST and HTTP_PORT of the environment. With HTTP_TOKEN set, that is sent along."`
	Follow bool   `short:"f" help:"Go on, and print what becomes of each notification, until interrupted."`
	JSON   bool   `name:"json" help:"Print what the server says, as JSON."`
}

// followEvery is how often the server is asked by someone who follows.
const followEvery = time.Second

// Run asks a server about a user. The first question makes the server watch what becomes of the user's notifications.
func (c *whyCmd) Run(env *environment) error {
	ask, err := c.asker()
	if err != nil {
		return err
	}
	body, err := ask(env.ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		_, err = env.stdout.Write(body)
		return err
	}
	var why httpapi.Why
	if err := json.Unmarshal(body, &why); err != nil {
		return fmt.Errorf("the server's answer can't be read: %w", err)
	}
	if err := printWhy(env.stdout, &why); err != nil || !c.Follow {
		return err
	}
	return follow(env, ask, &why)
}

// asker makes the function that asks once.
func (c *whyCmd) asker() (func(context.Context) ([]byte, error), error) {
	if err := checkUser(c.User); err != nil {
		return nil, err
	}
	server := c.URL
	if server == "" {
		cfg, err := config.Read()
		if err != nil {
			return nil, err
		}
		server = "http://" + localAddress(cfg.HTTPHost, cfg.HTTPPort)
	}
	parsed, err := url.Parse(server)
	if err != nil || parsed.Host == "" {
		return nil, fmt.Errorf("--url %q: it has to be like http://localhost:8082", server)
	}
	address := parsed.JoinPath("why").String() + "?user=" + url.QueryEscape(c.User)
	return func(ctx context.Context) ([]byte, error) { return askSideServer(ctx, address) }, nil
}

// askSideServer gets a page of the side server.
func askSideServer(ctx context.Context, address string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	if token := os.Getenv("HTTP_TOKEN"); token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("asking the side server (HTTP_HOST, HTTP_PORT, or --url): %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		var answer struct{ Error string }
		_ = json.Unmarshal(body, &answer) // what is not JSON has no Error
		return nil, fmt.Errorf("%s answered %s: %s", request.URL.Host, response.Status, answer.Error)
	}
	return body, nil
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
	if len(w.Open) > 0 {
		line("  since\tfrom\tlast heard\twaiting\ttakes nothing for")
	}
	for _, c := range w.Open {
		stalled := "-"
		if c.StalledFor > 0 {
			stalled = seconds(c.StalledFor)
		}
		line("  %s\t%s\t%s ago\t%d, %d bytes\t%s", moment(c.Since), c.Remote, seconds(c.HeardSeconds), c.Waiting, c.WaitingBytes, stalled)
	}
	line("\nnotifications since %s: %d", moment(w.WatchedSince), w.Seen)
	for i := range w.Latest {
		line("  %s", notificationLine(&w.Latest[i]))
	}
	line("\nwatched until %s, or longer if asked again", moment(w.WatchedUntil))
	return table.Flush()
}

// follow prints each notification whenever something new is known of it.
func follow(env *environment, ask func(context.Context) ([]byte, error), seen *httpapi.Why) error {
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
	for {
		select {
		case <-env.ctx.Done():
			return nil
		case <-time.After(followEvery):
		}
		body, err := ask(env.ctx)
		var now httpapi.Why
		switch {
		case errors.Is(err, context.Canceled):
			return nil
		case err != nil:
			return err
		}
		if err := json.Unmarshal(body, &now); err != nil {
			return fmt.Errorf("the server's answer can't be read: %w", err)
		}
		if !now.WatchedSince.Equal(seen.WatchedSince) { // another process, or a watch that had ended
			clear(shown)
			seen = &now
		}
		note(&now, true)
	}
}

// notificationLine has its columns apart by tabs.
func notificationLine(n *httpapi.WhyNotification) string {
	at := n.At.UTC().Format("15:04:05.000")
	if n.Problem != "" {
		return fmt.Sprintf("%s\t%s\t%d bytes\t%s", at, n.Outcome, n.Bytes, n.Problem)
	}
	parts := []string{fmt.Sprintf("sent to %d of %d", n.Sent, n.Connections)}
	if n.Queued > 0 {
		parts = append(parts, fmt.Sprintf("%d queued", n.Queued))
	}
	for _, reason := range slices.Sorted(maps.Keys(n.Failed)) {
		parts = append(parts, fmt.Sprintf("%d %s", n.Failed[reason], reason))
	}
	if n.TookMS > 0 {
		parts = append(parts, fmt.Sprintf("%.2f ms", n.TookMS))
	}
	if n.Via != "" {
		parts = append(parts, "for "+n.Via)
	}
	return fmt.Sprintf("%s\t%s\t%d bytes\t%q\t%s", at, n.Outcome, n.Bytes, n.Type, strings.Join(parts, ", "))
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

func seconds(s float64) string {
	return (time.Duration(s * float64(time.Second))).Round(time.Second).String()
}
