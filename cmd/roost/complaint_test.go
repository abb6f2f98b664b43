package main

import (
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"
)

// `roost why alice | head -n 1` is nothing to complain about; a Redis that hangs up is.
func TestComplaints(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  error
		says string
	}{
		{&fs.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.EPIPE}, ""},
		{fmt.Errorf("publishing: %w", syscall.EPIPE), "roost: publishing: broken pipe\n"},
	} {
		var said strings.Builder
		if code := complain(&environment{stderr: &said}, tt.err); code != 1 || said.String() != tt.says {
			t.Errorf("%v: %d %q", tt.err, code, said.String())
		}
	}
}
