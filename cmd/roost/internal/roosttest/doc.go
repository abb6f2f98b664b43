// Package roosttest runs the roost program for tests that know nothing of its inside: it builds the binary once a test
// run (with the race detector when the tests have it), starts it on free ports, and talks to it as clients, operators
// and supervisors do. It holds tokens made by hand and clients of another library than the server's.
//
// It imports no package of the server. Its functions fail the test when something goes wrong, so all of them are for
// the test's own goroutine, but for those that say otherwise. Everything that they start or open ends with the test.
package roosttest
