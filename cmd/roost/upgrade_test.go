//go:build linux && !client

package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

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

// A program that hangs is not waited for longer than is left, though a child of it has its output open.
func TestUpgradeLeavesAProgramThatHangs(t *testing.T) {
	t.Parallel()
	child := filepath.Join(t.TempDir(), "child")
	program := filepath.Join(t.TempDir(), "roost")
	if err := os.WriteFile(program, []byte("#!/bin/sh\nsleep 600 &\necho $! > "+child+"\nwait\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	ended := make(chan error, 1)
	go func() {
		_, err := upgrading{env: &environment{ctx: ctx}}.run(os.Getpid(), program, "version")
		ended <- err
	}()
	for {
		text, _ := os.ReadFile(child)
		pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil {
			time.Sleep(10 * time.Millisecond) // between two looks
			continue
		}
		defer func() { _ = syscall.Kill(pid, syscall.SIGKILL) }()
		break
	}
	cancel(errors.New("out of time"))
	select {
	case err := <-ended:
		if err == nil || err.Error() != "out of time" {
			t.Errorf("it failed with %v", err)
		}
	case <-time.After(5 * time.Minute):
		t.Error("it waits for the child of the program that was killed")
	}
}

// The output of a program is read to the end, also where that comes seconds after the program has ended, as on a machine that stands still.
func TestUpgradeReadsWhatComesLate(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "roost")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n(sleep 2; echo late) &\necho soon\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	said, err := upgrading{env: &environment{ctx: t.Context()}}.run(os.Getpid(), program, "upgrade", "--agreement")
	if err != nil || said != "soon\nlate" {
		t.Errorf("it said %q (%v)", said, err)
	}
}

// The complaint of a program has no name in front, since each line of what roost upgrade says gets one.
func TestUpgradeRepeatsTheComplaint(t *testing.T) {
	program := filepath.Join(t.TempDir(), "roost")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho 'roost: WS_PORT is wrong' >&2\necho 'roost: and so is WS_HOST' >&2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := upgrading{env: &environment{ctx: t.Context()}}.run(os.Getpid(), program, "config", "--check")
	if err == nil || err.Error() != "exit status 1\nWS_PORT is wrong\nand so is WS_HOST" {
		t.Errorf("it failed with %v", err)
	}
}
