// Package site is what the servers here share: configuration, tokens, the feed
// from Redis, the envelope, and who is connected.
package site

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// Config is read from the environment, with Roost's names and defaults.
type Config struct {
	Addr         string // to listen on
	Redis        string
	Secret       []byte
	PingInterval time.Duration
	PongWait     time.Duration
	WriteWait    time.Duration
	MaxMessage   int64
}

// FromEnvironment reads it.
func FromEnvironment() (Config, error) {
	c := Config{
		Addr:       net.JoinHostPort(cmp.Or(os.Getenv("WS_HOST"), "0.0.0.0"), cmp.Or(os.Getenv("WS_PORT"), "8081")),
		Redis:      net.JoinHostPort(cmp.Or(os.Getenv("REDIS_HOST"), "localhost"), cmp.Or(os.Getenv("REDIS_PORT"), "6379")),
		Secret:     []byte(os.Getenv("JWT_SECRET_KEY")),
		WriteWait:  10 * time.Second,
		MaxMessage: 512,
	}
	var err1, err2, err3 error
	c.PingInterval, err1 = duration("WS_PING_INTERVAL", "30s")
	c.PongWait, err2 = duration("WS_PONG_WAIT", "60s")
	if len(c.Secret) == 0 {
		err3 = errors.New("JWT_SECRET_KEY is not set")
	}
	return c, errors.Join(err1, err2, err3)
}

func duration(name, otherwise string) (time.Duration, error) {
	d, err := time.ParseDuration(cmp.Or(os.Getenv(name), otherwise))
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	return d, nil
}
