package site

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// envelopeOf is what clients get.
func envelopeOf(published string) ([]byte, error) {
	var e struct {
		Type      string          `json:"type"`
		Payload   json.RawMessage `json:"payload"`
		Timestamp string          `json:"timestamp"`
	}
	if err := json.Unmarshal([]byte(published), &e); err != nil {
		return nil, err
	}
	e.Timestamp = time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	return json.Marshal(e)
}

const prefix = "user_noti:"

// Feed reads notifications from Redis.
type Feed struct{ subscribed atomic.Bool }

// Run calls deliver for each notification until the subscription breaks.
func (f *Feed) Run(ctx context.Context, address string, deliver func(user, published string)) error {
	client := redis.NewClient(&redis.Options{Addr: address, Protocol: 2})
	defer client.Close()
	pubsub := client.PSubscribe(ctx, prefix+"*")
	defer pubsub.Close()
	if _, err := pubsub.Receive(ctx); err != nil {
		return err
	}
	f.subscribed.Store(true)
	for {
		message, err := pubsub.ReceiveMessage(ctx)
		if err != nil {
			return err
		}
		deliver(strings.TrimPrefix(message.Channel, prefix), message.Payload)
	}
}

// Healthy says whether Redis is subscribed.
func (f *Feed) Healthy() bool { return f.subscribed.Load() }

// ServeHTTP answers /health.
func (f *Feed) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	if !f.Healthy() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte(`{"status":"healthy"}`))
}
