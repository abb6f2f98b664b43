//go:build race

package wsproto

const raceDetector = true
