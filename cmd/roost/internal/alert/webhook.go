package alert

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"roost/cmd/roost/internal/retryafter"
	"roost/cmd/roost/internal/urlerror"
)

const (
	baseURL = "https://discord.com/api/webhooks"
	// timeout is how long one request may take.
	timeout = 5 * time.Second
	// maxRetryAfter bounds how long the webhook may tell us to be silent.
	maxRetryAfter = 10 * time.Minute
)

// webhook is one Discord webhook. It is used by the alerter's goroutine only.
type webhook struct {
	client *http.Client
	url    string
	token  string
}

// failure is why a message was not posted. Its text does not hold the token.
type failure struct {
	text       string
	passing    bool          // trying again may help
	retryAfter time.Duration // 0: not said
}

func (f *failure) Error() string { return f.text }

func newWebhook(id, token string) *webhook {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConns = 1
	return &webhook{
		client: &http.Client{
			Transport: transport,
			Timeout:   timeout,
			// The address is the password: it is not carried to wherever a redirect points.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		url:   baseURL + "/" + url.PathEscape(id) + "/" + url.PathEscape(token),
		token: token,
	}
}

// content is the part of Discord's "execute webhook" request that we use.
type content struct {
	Content         string   `json:"content"`
	AllowedMentions mentions `json:"allowed_mentions"`
}

// mentions with an empty list lets no text, such as an error that quotes a client, wake everybody on the server.
type mentions struct {
	Parse []string `json:"parse"`
}

// post sends one message. Its error, when not nil, is a *failure.
func (w *webhook) post(ctx context.Context, text string) error {
	body, _ := json.Marshal(content{Content: text, AllowedMentions: mentions{Parse: []string{}}}) // strings can always be written
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(body))
	if err != nil {
		return &failure{text: w.masked(err)}
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := w.client.Do(req)
	if err != nil {
		return &failure{text: w.masked(err), passing: true}
	}
	defer func() { _ = resp.Body.Close() }()                     // nothing is to be learned from its error
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 4<<10)) // so that the connection can be used again
	return answer(resp)
}

// answer is what the status says.
func answer(resp *http.Response) error {
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return nil
	}
	f := &failure{text: fmt.Sprintf("discord answered %s", resp.Status)}
	f.passing = resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests
	f.retryAfter = retryafter.Wait(resp.Header.Get("Retry-After"), time.Now(), maxRetryAfter)
	return f
}

// masked is the error's text without the address: that of a *url.Error has it, token included.
func (w *webhook) masked(err error) string {
	return strings.ReplaceAll(urlerror.Without(err).Error(), w.token, "********")
}
