//go:build race

package roosttest

// raceEnabled says whether the tests, and so the binary, are built with the race detector.
const raceEnabled = true
