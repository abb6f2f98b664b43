//go:build !unix

package httpapi

// maxDescriptors is 0: there is no server on such a system.
func maxDescriptors() int64 { return 0 }
