//go:build !linux

package httpapi

// waiting is for Linux: the server runs nowhere else.
func (l boundedListener) waiting() bool { return true }
