package presence

import (
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"roost/redisfeed/publish"
)

// needs is what the user of the Redis ACL needs for presence.
const needs = "+evalsha +eval +time +zadd +zrem +zremrangebyscore +zrange +pexpireat +publish ~" +
	OnlinePrefix + "* &" + PresenceChannel

// explain is Config.Explain for what concerns presence. Redis has said in several ways, from version to version, that a
// script may not do something.
func explain(c publish.Config, err error) error {
	if redis.IsPermissionError(err) || strings.Contains(err.Error(), "user executing the script can't") ||
		strings.Contains(err.Error(), "ACL failure in script") {
		return fmt.Errorf("%w: the user lacks a permission for presence, of %s: %w", publish.ErrAuth, needs, err)
	}
	return c.Explain(err)
}
