package systemd

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

// settings is the file of variables of the machine's service.
func settings(redisPort int, more ...string) string {
	lines := append([]string{
		"WS_HOST=127.0.0.1", "WS_PORT=0", "HTTP_HOST=127.0.0.1", "HTTP_PORT=0", "JWT_SECRET_KEY=" + roosttest.Secret,
		"REDIS_HOST=127.0.0.1", "REDIS_FEED_RETRY_DELAY=250ms", "REDIS_FEED_MAX_ATTEMPTS=2", "REDIS_MIN_IDLE_CONNS=1", "LOGGER_CONNECTION_RATE=0", "WS_HANDSHAKE_TIMEOUT=1m",
		fmt.Sprint("REDIS_PORT=", redisPort),
	}, more...)
	return strings.Join(lines, "\n") + "\n"
}

const drain = "WS_UPGRADE=drain"

const settingsFile = "etc/roost/roost.env"

// A life of the service, with an upgrade that fails and one that drains, seen from systemd.
func TestServiceUnderSystemd(t *testing.T) {
	if testing.Short() {
		t.Skip("boots a container")
	}
	redis := redistest.Start(t)
	m := boot(t)
	m.write(settingsFile, settings(redis.Port(), drain))
	m.run("systemctl", "start", "roost") // returns when it is ready
	first := m.mustRun("the start")
	address := m.await("listening", 1).Text("websocket")
	alice := connect(t, address, "alice")

	// The new process does not find Redis. systemd has to see nothing of it.
	m.write(settingsFile, settings(1, drain))
	m.upgrade()
	m.await("this process can't take over and ends; the one before goes on", 1)
	m.await("the upgrade failed, this process goes on", 1)
	if pid := m.mustRun("a failed upgrade"); pid != first {
		t.Errorf("after a failed upgrade the service is process %s, it was %s", pid, first)
	}
	redis.Publish("user_noti:alice", `{"type":"still here"}`)
	alice.WaitMessages(1)

	m.write(settingsFile, settings(redis.Port(), drain))
	m.upgrade()
	m.await("stopped", 1)
	roosttest.WaitFor(t, "systemd to know of the new process", func() bool { return m.show("MainPID") != first })
	second := m.mustRun("an upgrade")
	alice.WaitClose()
	bob := connect(t, address, "bob")

	m.write(settingsFile, settings(redis.Port(), "WS_MESSAGE_RATE=9"))
	m.run("systemctl", "reload", "roost")
	m.await("configuration reloaded", 1)
	m.write(settingsFile, settings(redis.Port(), "WS_MESSAGE_RATE=none"))
	if said, err := m.try("systemctl", "reload", "roost"); err == nil {
		t.Errorf("a reload of wrong settings works: %s", said)
	}
	roosttest.WaitFor(t, "the reload to be over", func() bool { return m.show("SubState") == "running" })
	if pid := m.mustRun("the reloads"); pid != second {
		t.Errorf("after the reloads the service is process %s, it was %s", pid, second)
	}

	m.run("systemctl", "stop", "roost")
	if code, _ := bob.WaitClose(); code != websocket.CloseGoingAway {
		t.Errorf("stopped, a client's connection ended with %d", code)
	}
	if state, result, restarts := m.show("ActiveState"), m.show("Result"), m.show("NRestarts"); state != "inactive" || result != "success" || restarts != "0" {
		t.Errorf("stopped, the service is %s, with %s, after %s restarts", state, result, restarts)
	}
}

// An operator replaces the program with one line: nobody is disconnected, systemd follows, and what goes wrong is said.
func TestHandoverUnderSystemd(t *testing.T) {
	if testing.Short() {
		t.Skip("boots a container")
	}
	redis := redistest.Start(t)
	m := boot(t)
	port := redistest.FreePort(t)
	set := func(redisPort int, more ...string) {
		text := settings(redisPort, append(more, "WS_UPGRADE=handover", "REDIS_PRESENCE=true")...)
		m.write(settingsFile, strings.Replace(text, "HTTP_PORT=0", fmt.Sprint("HTTP_PORT=", port), 1)) // by which roost upgrade finds it
	}
	m.write("etc/systemd/system/roost.service.d/watchdog.conf", "[Service]\nWatchdogSec=1h\n") // within which a process says once that it is there
	set(redis.Port())
	m.run("systemctl", "start", "roost")
	first := m.mustRun("the start")
	address := m.await("listening", 1).Text("websocket")
	alice := connect(t, address, "alice")

	set(redis.Port(), "WS_MESSAGE_RATE=none")
	if said, err := m.try("systemctl", "start", "roost-upgrade"); err == nil {
		t.Errorf("an upgrade to wrong settings works: %s", said)
	}
	set(1)
	if said, err := m.try("systemctl", "start", "roost-upgrade"); err == nil {
		t.Errorf("an upgrade to another Redis works: %s", said)
	}
	m.upgrade() // roost upgrade asks first; the signal alone does not
	if why := m.await("the upgrade failed, this process goes on", 1).Text("error"); !strings.Contains(why, "the address of Redis is") {
		t.Errorf("the log says %q", why)
	}
	if pid := m.mustRun("failed upgrades"); pid != first {
		t.Errorf("after failed upgrades the service is process %s, it was %s", pid, first)
	}

	set(redis.Port())
	for n := 1; n <= 3; n++ {
		heard := m.show("WatchdogTimestampMonotonic")
		m.handOver()
		m.await("handed over", n)
		m.await("stopped", n)
		roosttest.WaitFor(t, "systemd to know of the new process", func() bool { return m.show("MainPID") != first })
		first = m.mustRun("a handover")
		roosttest.WaitFor(t, "systemd's watchdog to hear of the new process", func() bool { return m.show("WatchdogTimestampMonotonic") != heard })
		redis.Publish("user_noti:alice", fmt.Sprintf(`{"type":"n","payload":%d}`, n))
		alice.WaitMessages(n)
	}
	m.run("systemctl", "stop", "roost")
	if code, _ := alice.WaitClose(); code != websocket.CloseGoingAway {
		t.Errorf("stopped, a client's connection ended with %d", code)
	}
	if state, result, restarts := m.show("ActiveState"), m.show("Result"), m.show("NRestarts"); state != "inactive" || result != "success" || restarts != "0" {
		t.Errorf("stopped, the service is %s, with %s, after %s restarts", state, result, restarts)
	}
}

// upgrade is how docs/operations.md has it.
func (m *machine) upgrade() {
	m.t.Helper()
	m.run("systemctl", "kill", "-s", "USR2", "--kill-whom=main", "roost")
}

// handOver is how an operator replaces the program. It is done again where this machine is too busy for a handover: all goes on as before
// then.
func (m *machine) handOver() {
	m.t.Helper()
	const failed = "the upgrade failed, this process goes on"
	roosttest.WaitWithin(m.t, 4*roosttest.Limit, "a handover for which this machine is not too busy", func() bool {
		before := len(m.log().Find(failed))
		said, err := m.try("systemctl", "start", "roost-upgrade")
		if err == nil {
			return true
		}
		if why := m.await(failed, before+1).Text("error"); !roosttest.TooSlow(why) {
			m.t.Fatalf("the upgrade failed: %s\n%s", why, said)
		}
		return false
	})
}

// mustRun wants systemd to say that the service is well, and returns the process that it takes for it.
func (m *machine) mustRun(after string) (pid string) {
	m.t.Helper()
	if active, sub := m.show("ActiveState"), m.show("SubState"); active != "active" || sub != "running" {
		m.t.Fatalf("after %s systemd says %s (%s)\n%s\n%s", after, active, sub, m.run("systemctl", "status", "--no-pager", "--full", "roost"), m.log())
	}
	return m.show("MainPID")
}

func connect(t *testing.T, address, user string) *roosttest.Client {
	t.Helper()
	conn, _, err := websocket.DefaultDialer.Dial("ws://"+address+"/ws?token="+roosttest.Token(t, user), nil)
	if err != nil {
		t.Fatal(err)
	}
	return roosttest.Record(t, conn)
}
