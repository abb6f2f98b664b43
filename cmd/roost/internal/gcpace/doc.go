// Package gcpace fits Go's collector to a process of many idle connections: it collects sooner near the memory limit of its
// control group ([SoftLimit]), once more when the process has become idle ([Release]), more often while it takes over another
// one's state ([Sparing]) and while a process with TLS connections does little, which also gives memory back once when it
// becomes calm ([Tighten]).
package gcpace
