//go:build linux && !client

package main

import (
	"runtime"
	"testing"

	"roost/cmd/roost/internal/config"
)

// Not parallel: there is one rate.
func TestKeepProfiles(t *testing.T) {
	before := runtime.MemProfileRate
	t.Cleanup(func() { runtime.MemProfileRate = before })
	keepProfiles(config.Config{HTTPPProf: true})
	if got := runtime.MemProfileRate; got != before {
		t.Errorf("the rate is %d with HTTP_PPROF, %d before", got, before)
	}
	keepProfiles(config.Config{})
	if got := runtime.MemProfileRate; got != 0 {
		t.Errorf("the rate is %d without HTTP_PPROF, want 0", got)
	}
}
