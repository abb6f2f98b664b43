// Package raw opens connections on which a client may say what it likes: plain
// blocking sockets, for tools that look at one connection at a time. What has to
// be many and cheap is package swarm's.
package raw
