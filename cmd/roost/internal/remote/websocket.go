package remote

import (
	"context"
	"io"
	"net/http"
	"net/url"

	"github.com/coder/websocket"
)

// Dial opens a WebSocket, with http.DefaultClient where client is nil. Where the server refuses, the error says what it
// answered, and never holds the URL, which has the token in it.
func Dial(ctx context.Context, address string, client *http.Client) (*websocket.Conn, error) {
	conn, response, err := websocket.Dial(ctx, address,
		&websocket.DialOptions{CompressionMode: websocket.CompressionDisabled, HTTPClient: client})
	if err == nil {
		conn.SetReadLimit(-1)
		return conn, nil
	}
	host := address
	if parsed, parseErr := url.Parse(address); parseErr == nil {
		host = parsed.Host
	}
	if response != nil && response.StatusCode != http.StatusSwitchingProtocols {
		body, _ := io.ReadAll(io.LimitReader(response.Body, 512))
		return nil, &Refusal{Status: response.StatusCode, err: Answered(host, response, body)}
	}
	return nil, Unreachable(host, "WS_HOST and WS_PORT, or --url", err)
}
