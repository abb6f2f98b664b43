// Package redispub publishes notifications to a real Redis at a given pace, from
// one thread of its own and over one connection, and keeps the books of what it
// published for whom. It speaks just enough RESP.
package redispub
