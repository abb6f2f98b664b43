//go:build demo && linux && !client

package main

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"github.com/alicebob/miniredis/v2"
)

// startDemoRedis starts the Redis inside this program.
func startDemoRedis(context.Context) (demoRedis, error) {
	redis := miniredis.NewMiniRedis()
	if redis.StartAddr(net.JoinHostPort(demoHost, strconv.Itoa(demoPort))) != nil {
		if err := redis.StartAddr(net.JoinHostPort(demoHost, "0")); err != nil {
			return demoRedis{}, fmt.Errorf("starting the embedded Redis: %w", err)
		}
	}
	port, err := strconv.Atoi(redis.Port())
	if err != nil {
		redis.Close()
		return demoRedis{}, fmt.Errorf("the embedded Redis's port: %w", err)
	}
	return demoRedis{port: port, stop: redis.Close}, nil
}
