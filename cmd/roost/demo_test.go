//go:build linux && !client

package main

import "testing"

// The lines that the demo prints in a container are for the machine around it.
func TestDemoInContainer(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		pid    int
		host   string
		podman bool
		want   string
	}{
		{1, "6a8c2f2b1d3e", false, "docker exec 6a8c2f2b1d3e "},
		{1, "6a8c2f2b1d3e", true, "podman exec 6a8c2f2b1d3e "},
		{7, "build", false, ""}, // in a shell, or with an init: the terminal is the container's
		{1, "", false, ""},
	} {
		if got := containerExec(test.pid, test.host, test.podman); got != test.want {
			t.Errorf("process %d of %q: %q, want %q", test.pid, test.host, got, test.want)
		}
	}
}
