package app

import (
	"testing"
)

func TestUpgradeBlocked(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		pid, parent int
		name        string
		ends        bool
	}{
		{1, 0, "", true},
		{7, 0, "", true},                    // a container of a pod that shares its pids
		{7, 1, "tini", true},                // docker run --init
		{7, 1, "bash", true},                // an entry point without exec
		{700, 300, "containerd-shim", true}, // --pid=host
		{700, 1, "systemd", false},
		{700, 300, "bash", false},  // somebody's terminal
		{700, 300, "roost", false}, // after an upgrade
	} {
		if reason := upgradeBlockedBy(test.pid, test.parent, test.name); (reason != "") != test.ends {
			t.Errorf("pid %d started by %d %q: %q", test.pid, test.parent, test.name, reason)
		}
	}
	if reason := upgradeBlocked(); reason != "" {
		t.Errorf("of this test: %s", reason)
	}
}
