package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"roost/cmd/roost/internal/printable"
	"roost/cmd/roost/internal/retryafter"
	"roost/cmd/roost/internal/urlerror"
)

const (
	// maxResponse bounds what is read of a response, in bytes; maxResponseHead bounds its head.
	maxResponse     = 4 << 10
	maxResponseHead = 64 << 10
	// maxLine bounds the first line of a refusal in the log, in bytes.
	maxLine = 200
)

// Result is what became of a request.
type Result string

// The results.
const (
	ResultOK          Result = "ok"           // 2xx
	ResultRefused     Result = "refused"      // 4xx, but for the next two
	ResultTooMany     Result = "too_many"     // 429
	ResultTryAgain    Result = "try_again"    // 408 and 425
	ResultServerError Result = "server_error" // 5xx
	ResultRedirect    Result = "redirect"     // 3xx, which is not followed
	ResultTimeout     Result = "timeout"      // no whole response in time
	ResultNetwork     Result = "network"      // no response
)

// Results are all results.
func Results() []Result {
	return []Result{ResultOK, ResultRefused, ResultTooMany, ResultTryAgain, ResultServerError, ResultRedirect, ResultTimeout, ResultNetwork}
}

// passing reports whether the same request may be taken later.
func (r Result) passing() bool {
	return r == ResultTooMany || r == ResultTryAgain || r == ResultServerError || r == ResultTimeout || r == ResultNetwork
}

// answer is a result with what there is to say about it.
type answer struct {
	result     Result
	retryAfter time.Duration // that the endpoint asks for; 0: it does not
	why        string        // for the log; without secrets and the address
}

// newClient makes a client that keeps one connection.
func newClient(timeout time.Duration, authorities *x509.CertPool) *http.Client {
	return &http.Client{
		Timeout: timeout,
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, DisableCompression: true,
			MaxIdleConns: 1, IdleConnTimeout: time.Minute,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: authorities},
			MaxResponseHeaderBytes: maxResponseHead,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// post sends a batch once.
func (s *Sender) post(ctx context.Context, b *batch) answer {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.cfg.URL, bytes.NewReader(b.body))
	if err != nil {
		return answer{result: ResultNetwork, why: urlerror.Without(err).Error()}
	}
	now := time.Now()
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", s.cfg.UserAgent)
	request.Header.Set(headerID, b.id)
	request.Header.Set(headerTimestamp, strconv.FormatInt(now.Unix(), 10))
	request.Header.Set(headerSignature, sign(*s.keys.Load(), b.id, now, b.body))
	response, err := s.client.Do(request)
	if err != nil {
		return failure(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxResponse)) // also so that the connection can be used again
	if err != nil && response.StatusCode/100 != 2 {
		body = nil
	}
	return judge(response, body)
}

// failure is the answer where there is no response.
func failure(err error) answer {
	if errors.Is(err, context.DeadlineExceeded) || os.IsTimeout(err) {
		return answer{result: ResultTimeout, why: "no response in time"}
	}
	return answer{result: ResultNetwork, why: urlerror.Without(err).Error()}
}

// judge says what a response means.
func judge(response *http.Response, body []byte) answer {
	a := answer{why: fmt.Sprintf("answered %d", response.StatusCode)}
	switch code := response.StatusCode; {
	case code >= 200 && code < 300:
		a.result = ResultOK
	case code == http.StatusTooManyRequests:
		a.result = ResultTooMany
	case code == http.StatusRequestTimeout || code == http.StatusTooEarly: // RFC 9110 section 15.5.9, RFC 8470 section 5.2
		a.result = ResultTryAgain
	case code >= 500:
		a.result = ResultServerError
	case code >= 300 && code < 400:
		a.result, a.why = ResultRedirect, a.why+", a redirect, which is not followed"
	default:
		a.result = ResultRefused
	}
	if a.result.passing() {
		a.retryAfter = retryafter.Wait(response.Header.Get("Retry-After"), time.Now(), longestRetryAfter)
	}
	if line := firstLine(body); line != "" {
		a.why += ": " + line
	}
	return a
}

// firstLine is the first line of a text, as far as a log line has room for it.
func firstLine(body []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(strings.ToValidUTF8(string(body), "\uFFFD")), "\n")
	return printable.Cut(strings.TrimSpace(line), maxLine)
}
