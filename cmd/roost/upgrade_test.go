//go:build linux && !client

package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"roost/cmd/roost/internal/app"
	"roost/httpapi"
)

// A server that can't be upgraded is not sent a signal, and the reason is said. The signal would end this test.
func TestUpgradeIsRefused(t *testing.T) {
	t.Setenv("JWT_SECRET_KEY", strings.Repeat("x", 32))
	ticks, err := app.StartTicks(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	good := httpapi.Upgrade{Pid: os.Getpid(), StartTicks: ticks, Program: "/none/roost", Began: "start"}
	for name, test := range map[string]struct {
		change func(*httpapi.Upgrade)
		code   int
		says   string
	}{
		"pid 1 of a container": {func(u *httpapi.Upgrade) { u.Blocked = "it is the first process of its container (pid 1)" }, 1, "(it is the first process of its container (pid 1)): start a new container"},
		"under way":            {func(u *httpapi.Upgrade) { u.Busy = "an upgrade is under way" }, 1, "no upgrade now: an upgrade is under way"},
		"another machine":      {func(u *httpapi.Upgrade) { u.StartTicks++ }, 1, "is not the server that answers"},
		"no program":           {func(u *httpapi.Upgrade) { u.Program = "" }, 1, "is not there"},
		"a program that fails": {func(*httpapi.Upgrade) {}, 1, "/none/roost does not work"},
		"a server before it":   {nil, 2, "systemctl kill -s USR2"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if test.change == nil || r.URL.Path != "/upgrade" {
					http.NotFound(w, r)
					return
				}
				state := good
				test.change(&state)
				_ = json.NewEncoder(w).Encode(state)
			}))
			defer server.Close()
			code, text := said(t, "upgrade", "--url", server.URL)
			if code != test.code || !strings.Contains(text, test.says) {
				t.Errorf("ends with %d, saying %s", code, text)
			}
		})
	}
}
