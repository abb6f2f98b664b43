// Package raw opens connections on which a client may say what it likes: plain
// blocking sockets, for tools that look at one connection at a time. Package
// swarm has connections that have to be many and cheap.
package raw
