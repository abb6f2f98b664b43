package redisnet

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// anyPassword is sent for a user that has a name and no password here. Redis takes any password of a user that is
// marked nopass, and refuses this one of any other; without one go-redis would not authenticate at all, and work as the
// user default.
const anyPassword = "nopass"

// authPassword is what to authenticate with.
func authPassword(username, password string) string {
	if username != "" && password == "" {
		return anyPassword
	}
	return password
}

// nameConnection returns a function that gives a connection a name, by which CLIENT LIST on the server shows whose it
// is. A user who may not do that, or a server that can't, loses nothing by it. Nil without a name.
func nameConnection(name string) func(context.Context, *redis.Conn) error {
	if name == "" {
		return nil
	}
	return func(ctx context.Context, conn *redis.Conn) error {
		conn.ClientSetName(ctx, name)
		return ctx.Err()
	}
}
