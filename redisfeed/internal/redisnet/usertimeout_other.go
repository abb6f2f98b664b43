//go:build !linux

package redisnet

import (
	"context"
	"syscall"
)

// control does nothing where there is no TCP_USER_TIMEOUT: only commands run there, each of which has a deadline.
func (d *Dialer) control(context.Context, string, string, syscall.RawConn) error { return nil }
