package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// adminURL is where the admin server is: what was given, in any form that people write an address in, or what the
// settings say.
func adminURL(env *environment, given string) (*url.URL, error) {
	if given != "" {
		parsed, err := serverURL(given, "http", "https")
		return parsed, misused(err)
	}
	cfg, err := env.config()
	if err != nil {
		return nil, err
	}
	if cfg.HTTPPort == 0 {
		return nil, misused(errors.New("HTTP_PORT is 0, any free port: give --url with the one that the server's log says"))
	}
	return &url.URL{Scheme: "http", Host: localAddress(cfg.HTTPHost, cfg.HTTPPort)}, nil
}

// serverURL reads an address in any of the forms http://host:port, ws://host:port/ws, host:port, host, :port, and
// returns it with the scheme plain, or secure where the given one is.
func serverURL(given, plain, secure string) (*url.URL, error) {
	text := strings.TrimSpace(given)
	if !strings.Contains(text, "://") {
		text = plain + "://" + text
	}
	parsed, err := url.Parse(text)
	if err != nil || parsed.Host == "" || parsed.Opaque != "" {
		return nil, fmt.Errorf("%q is no address: want one such as %s://localhost:8082, or localhost:8082", withoutQuery(given), plain)
	}
	switch strings.ToLower(parsed.Scheme) {
	case "http", "ws":
		parsed.Scheme = plain
	case "https", "wss":
		parsed.Scheme = secure
	default:
		return nil, fmt.Errorf("%q: the scheme has to be %s or %s", withoutQuery(given), plain, secure)
	}
	if strings.HasPrefix(parsed.Host, ":") {
		parsed.Host = "127.0.0.1" + parsed.Host
	}
	return parsed, nil
}

// withoutQuery is an address without what may be a token.
func withoutQuery(address string) string {
	address, _, _ = strings.Cut(address, "?")
	return address
}

// askAdmin gets a page of the admin server. token is the HTTP_TOKEN, empty for none.
func askAdmin(ctx context.Context, address *url.URL, token string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return nil, err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(request)
	if errors.Is(err, context.Canceled) {
		return nil, err
	}
	if err != nil {
		return nil, unreachable(address.Host, "HTTP_HOST and HTTP_PORT, or --url", err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, 4<<20))
	if err != nil {
		return nil, fmt.Errorf("reading the answer of %s: %w", address.Host, err)
	}
	if response.StatusCode == http.StatusOK && json.Valid(body) {
		return body, nil
	}
	var answer struct{ Error string }
	if json.Unmarshal(body, &answer) == nil && answer.Error != "" {
		body = []byte(answer.Error)
	}
	return nil, answered(address.Host, response, body)
}
