// Package soak holds no code but a test: everything at once, for minutes. A real server and a real Redis serve healthy
// clients while others connect and go in every way there is, do not read, or break every rule, and while Redis is
// killed, stopped and made to cut its subscribers. The healthy clients have to lose nothing but what Redis itself
// dropped, and in the end the server has to be as it was in the beginning.
//
// The worst case is another test: a server in a control group of just the size that roost doctor states, of which all that
// can be filled is full.
//
// `go test` runs a short version. ROOST_SOAK=5m, or scripts/soak, makes it long.
package soak
