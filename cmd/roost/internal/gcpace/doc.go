// Package gcpace fits Go's collector to a process of many idle connections: it collects sooner near the memory limit of its
// control group ([SoftLimit]), and once more when the process has become idle ([Release]).
package gcpace
