// Package gcpace sets the pace of Go's collector for a process of many idle connections: by headroom while it is busy
// ([Headroom]), within the memory limit of its control group ([SoftLimit]), and once more when it has become idle
// ([Release]).
package gcpace
