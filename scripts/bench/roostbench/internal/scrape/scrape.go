// Package scrape reads single figures of a server's own metrics, as Prometheus would. Values that a
// server does not tell are simply not known.
package scrape

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Names of figures that every Go server with Prometheus's client has.
const (
	HeapInUse   = "go_memstats_heap_inuse_bytes" // spans that hold objects, dead ones too
	HeapObjects = "go_memstats_heap_alloc_bytes" // objects, dead ones too as long as they are not collected
	Goroutines  = "go_goroutines"
)

// maxBody is how much of an answer is read, in bytes.
const maxBody = 4 << 20

// limit is how long an answer may take.
const limit = 30 * time.Second

// Values are a server's figures by name, with labels as the server writes them: name{label="value"}.
type Values map[string]float64

// ErrStatus is wrapped by what Get says of an answer other than 200.
var ErrStatus = errors.New("the server does not answer with 200")

// Get asks a server. The connection does not stay.
func Get(ctx context.Context, url string) (Values, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", url, err)
	}
	request.Close = true
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w: %s: %s", ErrStatus, url, answer.Status)
	}
	return parse(io.LimitReader(answer.Body, maxBody))
}

// parse reads Prometheus's text format, lines like "name 1.5".
func parse(in io.Reader) (Values, error) {
	values := Values{}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxBody)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) != 2 || words[0][0] == '#' {
			continue
		}
		if v, err := strconv.ParseFloat(words[1], 64); err == nil {
			values[words[0]] = v
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	return values, nil
}
