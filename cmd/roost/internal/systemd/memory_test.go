package systemd

import (
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"roost/cmd/roost/internal/roosttest"
	"roost/redisfeed/redistest"
)

// Where memory is limited an upgrade that has no room is refused, with the reason, and one that has goes through: nobody loses anything, and
// the kernel ends nobody.
func TestHandoverWithinMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("boots a container")
	}
	if roosttest.RaceEnabled {
		t.Skip("the race detector has several times the memory")
	}
	if _, err := os.Stat("/sys/fs/cgroup/memory"); err != nil {
		t.Skip("a container doesn't see a limit that is set outside of it, but with control groups of version 1")
	}
	const plenty = 1 << 30
	group := roosttest.NewMemoryGroup(t, plenty, 0)
	redis := redistest.Start(t)
	m := boot(t, group.Join()...)
	port := redistest.FreePort(t)
	m.write(settingsFile, strings.Replace(settings(redis.Port(),
		"WS_UPGRADE=handover", "WS_MAX_CONNECTIONS=100", "WS_MAX_QUEUED_BYTES=268435456", "WS_QUEUE_BYTES=134217728", "WS_QUEUE_MESSAGES=10000", "WS_WRITE_WAIT=10m", "WS_PONG_WAIT=10m"),
		"HTTP_PORT=0", fmt.Sprint("HTTP_PORT=", port), 1))
	m.run("systemctl", "start", "roost")
	first := m.mustRun("the start")
	listening := m.await("listening", 1)
	if listening["memory_limit"] == "none" {
		t.Fatal("the service sees no limit")
	}
	address := listening.Text("websocket")
	alice := connect(t, address, "alice")
	stall(t, address, "slow")

	// The new process needs memory for the send queues of clients that don't read.
	const waiting, size = 1900, 60_000
	pad := strings.Repeat("x", size)
	for n := range waiting {
		redis.Publish("user_noti:slow", fmt.Sprintf(`{"type":"n","payload":{"n":%d,"pad":%q}}`, n, pad))
		if n%100 == 99 { // Redis cuts a subscriber that is 32 MB behind
			redis.Publish("user_noti:alice", `{"type":"n"}`)
			alice.WaitMessages((n + 1) / 100) // so the others are in the queue
		}
	}
	used := group.Used(t)
	group.Limit(t, used+(80<<20))
	if said, err := m.try("systemctl", "start", "roost-upgrade"); err == nil {
		t.Errorf("an upgrade without room works: %s", said)
	}
	if why := m.await("the upgrade failed, this process goes on", 1).Text("error"); !strings.Contains(why, "the memory limit leaves the new process") {
		t.Errorf("the log says %q", why)
	}
	if pid := m.mustRun("a refused upgrade"); pid != first {
		t.Errorf("after a refused upgrade the service is process %s, it was %s", pid, first)
	}
	redis.Publish("user_noti:alice", `{"type":"n"}`)
	alice.WaitMessages(waiting/100 + 1)

	group.Limit(t, plenty)
	m.handOver()
	m.await("stopped", 1)
	roosttest.WaitFor(t, "systemd to know of the new process", func() bool { return m.show("MainPID") != first })
	m.mustRun("an upgrade")
	redis.Publish("user_noti:alice", `{"type":"n"}`)
	alice.WaitMessages(waiting/100 + 2)
	t.Logf("used before %d MiB, peak %d MiB", used>>20, group.Peak()>>20)
}

// stall connects a user who reads nothing.
func stall(t *testing.T, address, user string) {
	t.Helper()
	dialer := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) })
	}}
	conn, err := dialer.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := conn.Write([]byte(roosttest.Head(roosttest.Token(t, user)))); err != nil {
		t.Fatal(err)
	}
}
