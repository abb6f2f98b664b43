//go:build !race

package wsproto

const raceDetector = false
