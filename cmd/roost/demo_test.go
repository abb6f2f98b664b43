//go:build linux && !client

package main

import "testing"

// The lines that the demo prints in a container are for the machine around it.
func TestDemoInContainer(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		pid              int
		host, kind, want string
	}{
		{1, "6a8c2f2b1d3e", "", "docker exec 6a8c2f2b1d3e "},
		{1, "6a8c2f2b1d3e", "podman", "podman exec 6a8c2f2b1d3e "},
		{1, "build-7", "", "docker exec CONTAINER "}, // the host's network and name
		{7, "6a8c2f2b1d3e", "", ""},                  // in a shell, or with an init: the terminal is the container's
	} {
		if got := containerExec(test.pid, test.host, test.kind); got != test.want {
			t.Errorf("process %d of %q (%s): %q, want %q", test.pid, test.host, test.kind, got, test.want)
		}
	}
}
