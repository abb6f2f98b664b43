// Package remote is how commands, and the service's self-check, reach servers: addresses as people write them, a WebSocket
// client, and errors that say in words what is wrong.
package remote
