package lifecycle

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

// askUpgrade runs roost upgrade.
func askUpgrade(t *testing.T, server *roosttest.Server, args ...string) (code int, said string) {
	t.Helper()
	process := roosttest.Run(t, roosttest.Command{
		Args: append([]string{"upgrade", "--url", "http://" + server.HTTP}, args...), Env: roosttest.Env{"JWT_SECRET_KEY": roosttest.Secret},
	})
	code = process.Wait()
	return code, process.Log.String() + process.Stderr.String()
}

// askHandover is askUpgrade, again where this machine is too busy for a handover: all goes on as before then.
func askHandover(t *testing.T, server *roosttest.Server) (code int, said string) {
	t.Helper()
	roosttest.WaitWithin(t, 4*roosttest.Limit, "an upgrade for which this machine is not too busy", func() bool {
		code, said = askUpgrade(t, server)
		return code == 0 || !roosttest.TooSlow(said+server.Log.String()) // an old process may only know that the new one has ended
	})
	return code, said
}

// The command follows an upgrade to its end.
func TestUpgradeCommand(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	file := e2e.KeyFile(t, "WS_MESSAGE_RATE=9\n")
	server := roosttest.Start(t, redis, roosttest.Env{"ROOST_CONFIG_FILE": file, "WS_UPGRADE": "drain"})
	e2e.EndLast(t, server)
	if code, said := askUpgrade(t, server, "--check"); code != 0 || !strings.Contains(said, "is good") {
		t.Errorf("--check ends with %d: %s", code, said)
	}
	if err := os.WriteFile(file, []byte("WS_MESSAGE_RATE=many\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, said := askUpgrade(t, server); code != 1 || !strings.Contains(said, "would not start") || !strings.Contains(said, "WS_MESSAGE_RATE") {
		t.Errorf("with wrong settings it ends with %d: %s", code, said)
	}
	if lines := server.Log.Find("upgrading: a new process is started"); len(lines) > 0 {
		t.Error("an upgrade is begun without need")
	}
	if err := os.WriteFile(file, []byte("WS_MESSAGE_RATE=8\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, said := askUpgrade(t, server)
	awaitNew(t, server)
	if want := fmt.Sprintf("process %d serves; %d closes", e2e.LastPid(server), server.Pid()); code != 0 || !strings.Contains(said, want) {
		t.Errorf("it ends with %d, without %q: %s", code, want, said)
	}
}

// What would keep the connections from being handed over is said beforehand, as the server would say it.
func TestUpgradeCommandForesees(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	file := e2e.KeyFile(t, "")
	server := roosttest.Start(t, redis, roosttest.Env{"ROOST_CONFIG_FILE": file})
	alice, bob := server.Connect("alice"), server.Connect("bob")
	e2e.EndLast(t, server)
	for _, tt := range []struct {
		settings string
		code     int
		says     string
	}{
		{"WS_MESSAGE_RATE=8", 0, "the new process takes over the connections"},
		{"WS_MAX_CONNECTIONS=1", 0, "the new process takes over 1 of 2 connections, and closes the others: WS_MAX_CONNECTIONS=1"},
		{"REDIS_FEED=user\nWS_UPGRADE=drain", 0, "closed over WS_DRAIN_WINDOW, and clients come back: WS_UPGRADE=drain"},
		{"REDIS_FEED=user\nREDIS_PRESENCE=true", 1, `the handover is refused: REDIS_FEED is "user" in the new process and "pattern" in the running one; ` +
			`REDIS_PRESENCE is "on" in the new process and "off" in the running one`},
	} {
		if err := os.WriteFile(file, []byte(tt.settings+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if code, said := askUpgrade(t, server, "--check"); code != tt.code || !strings.Contains(said, tt.says) {
			t.Errorf("with %q --check ends with %d, without %q: %s", tt.settings, code, tt.says, said)
		}
	}
	if code, said := askUpgrade(t, server); code != 1 || !strings.Contains(said, "the handover is refused: REDIS_FEED") {
		t.Errorf("it ends with %d: %s", code, said)
	}
	if lines := server.Log.Find("upgrading: a new process is started"); len(lines) > 0 {
		t.Error("an upgrade is begun without need")
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, said := askHandover(t, server); code != 0 || !strings.Contains(said, "with 2 connections of") {
		t.Errorf("it ends with %d: %s", code, said)
	}
	if alice.Ended() || bob.Ended() {
		t.Error("the upgrade has closed a connection")
	}
}

// A program that passes the checks and then fails is named with its reason, and the old process goes on.
func TestUpgradeCommandSaysWhyNot(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	program := filepath.Join(t.TempDir(), "roost")
	broken := "#!/bin/sh\ncase \"$1\" in version|config) exec " + roosttest.Binary(t) + " \"$@\";; esac\nexit 3\n"
	if err := os.WriteFile(program, []byte(broken), 0o755); err != nil {
		t.Fatal(err)
	}
	server := roosttest.StartWrapped(t, redis, nil, "/bin/bash", "-c", fmt.Sprintf(`exec -a %q "$@"`, program), "bash")
	code, said := askUpgrade(t, server)
	if want := fmt.Sprintf("process %d goes on: ", server.Pid()); code != 1 || !strings.Contains(said, want) || !strings.Contains(said, "exit status 3") {
		t.Errorf("it ends with %d: %s", code, said)
	}
	if n := server.Metrics()[`roost_upgrades_total{result="failed"}`]; n != 1 {
		t.Errorf("%v upgrades have failed", n)
	}
	server.Connect("alice")
}
