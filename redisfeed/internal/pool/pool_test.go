package pool

import (
	"testing"
	"time"

	"roost/redisfeed/internal/redisnet"
)

func TestPoolOptions(t *testing.T) {
	t.Parallel()
	cfg := redisnet.Config{
		Addr: "a:1", Username: "u", Password: "p", DB: 3, MinIdleConns: 2, PoolSize: 7,
		PoolTimeout: time.Second, AnswerTimeout: 2 * time.Second, ConnMaxIdleTime: time.Minute, ConnMaxLifetime: time.Hour,
	}
	o := poolOptions(t.Context(), cfg)
	if o.Addr != "a:1" || o.Username != "u" || o.Password != "p" || o.DB != 3 || o.MinIdleConns != 2 || o.PoolSize != 7 ||
		o.PoolTimeout != time.Second || o.ReadTimeout != 2*time.Second || o.ConnMaxIdleTime != time.Minute || o.ConnMaxLifetime != time.Hour {
		t.Errorf("options: %+v", o)
	}
	if o.Protocol != 2 {
		t.Errorf("RESP%d", o.Protocol)
	}
	if o.MaxRetries != -1 {
		t.Errorf("MaxRetries 0 became %d, which go-redis does not take for none", o.MaxRetries)
	}
	cfg.MaxRetries = 4
	if o := poolOptions(t.Context(), cfg); o.MaxRetries != 4 {
		t.Errorf("MaxRetries 4 became %d", o.MaxRetries)
	}
}
