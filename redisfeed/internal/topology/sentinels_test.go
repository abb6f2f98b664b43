package topology

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"roost/redisfeed/internal/redisnet"
)

// said is an error that a sentinel answers.
type said string

func (s said) Error() string { return string(s) }
func (said) RedisError()     {}

// The error has the sentinel's own words, and says what an operator can do about it.
func TestExplain(t *testing.T) {
	t.Parallel()
	s := &Sentinels{name: "main"}
	for name, test := range map[string]struct {
		err  error
		want string
		auth bool
	}{
		"nothing":            {redis.Nil, `it knows no master called "main" (REDIS_MASTER_NAME)`, false},
		"another master":     {said("ERR No such master with that name"), `it knows no master called "main"`, false},
		"no sentinel":        {said("ERR unknown command 'sentinel'"), "it is no sentinel (REDIS_ADDRS)", false},
		"no password":        {said("NOAUTH Authentication required."), "it wants a password and none is configured (REDIS_SENTINEL_PASSWORD)", true},
		"wrong password":     {said("WRONGPASS invalid username-password pair or user is disabled."), "wrong user name or password (REDIS_SENTINEL_USERNAME", true},
		"no permission":      {said("NOPERM User x has no permissions to run the 'sentinel' command"), "lacks a permission, of +sentinel|master", true},
		"anything else":      {said("ERR busy"), "ERR busy", false},
		"it does not answer": {context.DeadlineExceeded, "context deadline exceeded", false},
	} {
		got := s.explain(test.err)
		if !strings.Contains(got.Error(), test.want) {
			t.Errorf("%s: %v, want %s", name, got, test.want)
		}
		if !errors.Is(got, test.err) || errors.Is(got, redisnet.ErrAuth) != test.auth {
			t.Errorf("%s: %v wraps the wrong errors", name, got)
		}
	}
}

func TestNoSentinels(t *testing.T) {
	t.Parallel()
	if s := NewSentinels(t.Context(), redisnet.Config{Addr: "127.0.0.1:1"}); s != nil {
		t.Errorf("%+v without Sentinel", s)
	}
}

func TestClosedSentinelsAreNotAsked(t *testing.T) {
	t.Parallel()
	s := NewSentinels(t.Context(), redisnet.Config{Sentinels: []string{"127.0.0.1:1", "127.0.0.1:2"}, MasterName: "main"})
	s.Close()
	s.Close()
	if m, err := s.Master(t.Context(), ""); !errors.Is(err, redis.ErrClosed) || m != (Master{}) {
		t.Errorf("%+v, %v", m, err)
	}
}
