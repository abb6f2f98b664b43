//go:build !linux

package httpapi

// hasWaiting is for Linux: the server runs nowhere else.
func (l boundedListener) hasWaiting() bool { return true }
