package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"roost/cmd/roost/internal/remote"
	"roost/internal/plural"
)

type healthCmd struct {
	trustFlag
	URL  string `name:"url" placeholder:"URL" help:"The admin server to ask, such as http://localhost:8082. Without it: HTTP_HOST and HTTP_PORT of the settings."`
	Live bool   `help:"Only whether the process answers: what a supervisor may restart it for. Redis being away is no reason."`
	Deep bool   `help:"Send a notification through Redis and back to a connection as well."`
	JSON bool   `name:"json" help:"Print the server's answer."`
}

// Run asks once. It prints one line, and ends with 1 where the server is not healthy, or does not answer.
func (c *healthCmd) Run(env *environment) error {
	server, err := c.adminServer(env, c.URL)
	if err != nil {
		return err
	}
	page := server.at("health")
	switch {
	case c.Live:
		page = server.at("health", "live")
	case c.Deep:
		page.url.RawQuery = "deep=1"
	}
	ctx, cancel := context.WithTimeout(env.ctx, 10*time.Second)
	defer cancel()
	response, err := page.get(ctx, "")
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<16))
	if err != nil {
		return fmt.Errorf("reading the answer of %s: %w", page.url.Host, err)
	}
	return c.print(env, page.url.Host, response, body)
}

// print says how the server is.
func (c *healthCmd) print(env *environment, host string, response *http.Response, body []byte) error {
	var health struct {
		Status    string
		Redis     struct{ Status, Error string }
		WebSocket struct {
			Connections int `json:"active_connections"`
		}
	}
	if err := json.Unmarshal(body, &health); err != nil || health.Status == "" {
		return remote.Answered(host, response, body)
	}
	line := string(body)
	if !c.JSON {
		line = health.Status
		if !c.Live {
			line += fmt.Sprintf(": %s, Redis %s", plural.Count(health.WebSocket.Connections, "connection"), health.Redis.Status)
		}
		if health.Redis.Error != "" {
			line += " (" + health.Redis.Error + ")"
		}
		line += "\n"
	}
	if _, err := io.WriteString(env.stdout, line); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return errSaid
	}
	return nil
}
