package admin

import (
	"net/http"
	"testing"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

// While a link is being mended balancers go on sending clients, for a while.
func TestHealthGrace(t *testing.T) {
	t.Parallel()
	redis, patient := e2e.Start(t, roosttest.Env{"REDIS_HEALTH_GRACE": "1h"})
	brief := roosttest.Start(t, redis, roosttest.Env{"REDIS_HEALTH_GRACE": "1s"})
	redis.Kill()
	health := e2e.WaitHealth(t, patient, http.StatusOK, "degraded")
	if health.Redis.Status != "disconnected" || health.Redis.Error == "" {
		t.Errorf("redis is said to be %+v", health.Redis)
	}
	e2e.WaitHealth(t, brief, http.StatusServiceUnavailable, "degraded")
	e2e.WaitHealth(t, patient, http.StatusOK, "degraded")
	patient.Connect("alice")
	redis.Restart()
	e2e.WaitHealth(t, patient, http.StatusOK, "healthy")
	e2e.WaitHealth(t, brief, http.StatusOK, "healthy")

	redis.Kill()
	never := roosttest.Launch(t, redis, roosttest.Env{"REDIS_HEALTH_GRACE": "1h"})
	e2e.WaitHealth(t, never, http.StatusServiceUnavailable, "degraded") // it has never been well
}
