package httpapi

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestDeepHealth(t *testing.T) {
	t.Parallel()
	ok := []ProbeStep{{Name: "redis_pubsub", Took: 1500 * time.Microsecond}, {Name: "websocket", Took: time.Millisecond}}
	for _, tt := range []struct {
		name         string
		disconnected bool
		steps        []ProbeStep
		status       int
		overall      string
		deep         map[string]any
	}{
		{"works", false, ok, 200, healthy, map[string]any{
			"redis_pubsub": map[string]any{"status": "ok", "ms": 1.5},
			"websocket":    map[string]any{"status": "ok", "ms": 1.0}}},
		{"a step fails", false, []ProbeStep{ok[0], {Name: "websocket", Took: 5e9, Err: errors.New("no answer")}}, 503, degraded,
			map[string]any{
				"redis_pubsub": map[string]any{"status": "ok", "ms": 1.5},
				"websocket":    map[string]any{"status": "failed", "ms": 5000.0, "error": "no answer"}}},
		{"works, but the link to Redis does not", true, ok, 503, degraded, map[string]any{
			"redis_pubsub": map[string]any{"status": "ok", "ms": 1.5},
			"websocket":    map[string]any{"status": "ok", "ms": 1.0}}},
		{"checks nothing", false, nil, 503, degraded, map[string]any{
			"probe": map[string]any{"status": "failed", "ms": 0.0, "error": "nothing was checked"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			resp := serve(t, Config{
				Redis: func() RedisState { return RedisState{Connected: !tt.disconnected} },
				Probe: func(context.Context) []ProbeStep { return tt.steps },
			}, "GET", "/health?deep=1")
			got := decode(t, resp)
			if resp.StatusCode != tt.status || got["status"] != tt.overall || !reflect.DeepEqual(got["deep"], any(tt.deep)) {
				t.Errorf("%d %v", resp.StatusCode, got)
			}
		})
	}
}

func TestDeepHealthWhileDraining(t *testing.T) {
	t.Parallel()
	resp := serve(t, Config{
		Draining: func() bool { return true },
		Probe:    func(context.Context) []ProbeStep { panic("the probe was started") },
	}, "GET", "/health?deep=1")
	if got := decode(t, resp); resp.StatusCode != 503 || got["status"] != draining || got["deep"] != nil {
		t.Errorf("%d %v", resp.StatusCode, got)
	}
}

// probes is a probe that counts its runs and takes a second.
type probes struct{ runs, atOnce, most atomic.Int32 }

func (p *probes) run(context.Context) []ProbeStep {
	p.runs.Add(1)
	if n := p.atOnce.Add(1); n > p.most.Load() {
		p.most.Store(n)
	}
	defer p.atOnce.Add(-1)
	time.Sleep(time.Second) // synctest's clock
	return []ProbeStep{{Name: "a"}}
}

func TestDeepCheckIsSharedAndKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var p probes
		s := newServer(t, Config{Probe: p.run})
		statuses := make(chan int, 100)
		for range 50 {
			go func() { statuses <- ask(s, "GET", "/health?deep=1").StatusCode }()
		}
		for range 50 {
			if status := <-statuses; status != 200 {
				t.Errorf("status %d", status)
			}
		}
		time.Sleep(deepFresh - time.Millisecond)
		ask(s, "GET", "/health?deep=1")
		if n := p.runs.Load(); n != 1 {
			t.Errorf("%d runs, want the first one only", n)
		}
		time.Sleep(time.Millisecond)
		begin := time.Now()
		ask(s, "GET", "/health?deep=1")
		if n := p.runs.Load(); n != 2 || time.Since(begin) != time.Second {
			t.Errorf("%d runs, %s", n, time.Since(begin))
		}
		if n := p.most.Load(); n != 1 {
			t.Errorf("%d at once", n)
		}
	})
}

func TestDeepCheckIsBounded(t *testing.T) {
	t.Parallel()
	for _, heedless := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var runs atomic.Int32
			release := make(chan struct{})
			s := newServer(t, Config{Probe: func(ctx context.Context) []ProbeStep {
				runs.Add(1)
				<-ctx.Done()
				if heedless {
					<-release
				}
				return []ProbeStep{{Name: "websocket", Err: ctx.Err()}}
			}})
			begin := time.Now()
			resp := ask(s, "GET", "/health?deep=1")
			name := map[bool]string{true: "probe", false: "websocket"}[heedless]
			if deep := decode(t, resp)["deep"].(map[string]any); resp.StatusCode != 503 || deep[name] == nil {
				t.Errorf("heedless %t: %d %v", heedless, resp.StatusCode, deep)
			}
			if took := time.Since(begin); took < deepTimeout || took > deepTimeout+deepTimeout/10 {
				t.Errorf("heedless %t: took %s", heedless, took)
			}
			if heedless { // a probe that hangs is not started again
				time.Sleep(time.Minute)
				if ask(s, "GET", "/health?deep=1").StatusCode != 503 || runs.Load() != 1 {
					t.Errorf("%d runs", runs.Load())
				}
			}
			close(release)
			synctest.Wait()
		})
	}
}

func TestDeepCheckSurvivesAPanic(t *testing.T) {
	t.Parallel()
	resp := serve(t, Config{Probe: func(context.Context) []ProbeStep { panic("oh") }}, "GET", "/health?deep=true")
	deep := decode(t, resp)["deep"].(map[string]any)
	if resp.StatusCode != 503 || deep["probe"].(map[string]any)["error"] != "panic: oh" {
		t.Errorf("%d %v", resp.StatusCode, deep)
	}
}

// A caller that leaves does not end the check for the others.
func TestDeepCheckOutlivesItsCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var p probes
		s := newServer(t, Config{Probe: p.run})
		ctx, leave := context.WithCancel(context.Background())
		left := make(chan struct{})
		go func() {
			defer close(left)
			s.Handler().ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/health?deep=1", nil))
		}()
		synctest.Wait()
		leave()
		<-left
		if status := ask(s, "GET", "/health?deep=1").StatusCode; status != http.StatusOK || p.runs.Load() != 1 {
			t.Errorf("%d, %d runs", status, p.runs.Load())
		}
	})
}

func TestStoppingEndsTheProbe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Config{Probe: func(ctx context.Context) []ProbeStep {
			<-ctx.Done()
			return []ProbeStep{{Name: "a", Err: ctx.Err()}}
		}})
		time.AfterFunc(time.Second, s.stop)
		begin := time.Now()
		ask(s, "GET", "/health?deep=1")
		if took := time.Since(begin); took != time.Second {
			t.Errorf("took %s", took)
		}
	})
}
