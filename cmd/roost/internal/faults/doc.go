// Package faults holds no code but a test: the ways in which Redis, or the way to it, can fail under a server that
// delivers, one after the other, for each of the three feeds. Every notification that Redis took and that a connection
// did not get has to lie at or after a time that this connection was told (WS_GAP_NOTICE), and none may come twice or out
// of order.
//
// `go test` runs one round of most. ROOST_FAULTS=full, or scripts/faults, runs fifty and more, and writes the table of
// docs/reliability.md.
package faults
