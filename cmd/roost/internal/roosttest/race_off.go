//go:build !race

package roosttest

// RaceEnabled says whether the tests, and so the binary, are built with the race detector.
const RaceEnabled = false
