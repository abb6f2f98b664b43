package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"roost/cmd/roost/internal/remote"
	"roost/cmd/roost/internal/top"
	"roost/httpapi"
)

type topCmd struct {
	trustFlag
	URL   string   `name:"url" placeholder:"URL" help:"The admin server to ask, such as http://localhost:8082. Without it: HTTP_HOST and HTTP_PORT of the settings. HTTP_TOKEN of the settings is sent along."`
	Every lifetime `default:"2s" help:"How often to ask: 1s to 1m."`
	Once  bool     `help:"Print the numbers once, as text. So does top where standard output is no terminal."`
}

// Run shows a running server until the user leaves.
func (c *topCmd) Run(env *environment) error {
	every := time.Duration(c.Every)
	if err := top.CheckEvery(every); err != nil {
		return usageErrorf("--every: %w", err)
	}
	cfg, err := env.config()
	if err != nil {
		return err
	}
	server, err := c.adminServer(env, c.URL)
	if err != nil {
		return err
	}
	ask := overviewAsker(server, cfg.HTTPToken)
	screen, ok := top.Screen(env.log, os.Environ())
	if c.Once || !ok {
		return top.Print(env.ctx, env.stdout, ask)
	}
	return top.Run(env.ctx, env.stdin, screen, os.Environ(), ask, every)
}

// overviewAsker asks one server.
func overviewAsker(server adminServer, token string) top.Ask {
	page := server.at("console.json")
	return func(ctx context.Context, since int64) (*httpapi.Overview, error) {
		page := page
		address := *page.url
		address.RawQuery = url.Values{"since": {strconv.FormatInt(since, 10)}}.Encode()
		page.url = &address
		body, err := page.ask(ctx, token)
		var answer *remote.AnswerError
		if errors.As(err, &answer) && answer.Status == http.StatusNotFound {
			return nil, fmt.Errorf("%s has no console, which has the numbers for roost top: HTTP_CONSOLE is false there, or it is another server", page.url.Host)
		}
		if err != nil {
			return nil, err
		}
		var o httpapi.Overview
		if err := json.Unmarshal(body, &o); err != nil || o.Started == 0 {
			return nil, fmt.Errorf("the answer of %s can't be read: is it a server of another release?", page.url.Host)
		}
		return &o, nil
	}
}
