package lifecycle

import (
	"strconv"
	"testing"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

func TestMemoryLimitFromTheEnvironment(t *testing.T) {
	t.Parallel()
	server := roosttest.Launch(t, e2e.NoRedis{}, roosttest.Env{"GOMEMLIMIT": "200MiB"})
	if got := server.WaitLine("listening")["memory_limit"]; got != float64(200<<20) {
		t.Errorf("memory_limit is %v, want what GOMEMLIMIT says", got)
	}
}

// In a control group of its own the server leaves room for the sockets. GOMEMLIMIT overrides that.
func TestMemoryLimitOfTheControlGroup(t *testing.T) {
	t.Parallel()
	const limit, connections = 256 << 20, 1000
	join := roosttest.NewMemoryGroup(t, limit, 0).Join()
	env := roosttest.Env{"WS_MAX_CONNECTIONS": strconv.Itoa(connections)}
	server := roosttest.Launch(t, e2e.NoRedis{}, env, join...)
	got, ok := server.WaitLine("listening")["memory_limit"].(float64)
	if most := 0.9 * limit; !ok || got < limit/2 || got > most-5000*connections {
		t.Errorf("memory_limit is %v, want 90%% of %d less %d sockets", got, limit, connections)
	}
	env["GOMEMLIMIT"] = "off"
	server = roosttest.Launch(t, e2e.NoRedis{}, env, join...)
	if got := server.WaitLine("listening")["memory_limit"]; got != "none" {
		t.Errorf("memory_limit is %v, although GOMEMLIMIT is off", got)
	}
}
