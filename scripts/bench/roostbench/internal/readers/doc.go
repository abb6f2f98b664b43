// Package readers is clients that read at a speed of their own: as fast as they can, so many bytes a second, or nothing
// at all. Each is a blocking socket and a goroutine, for tens of them; what has to be many is package swarm's.
package readers
