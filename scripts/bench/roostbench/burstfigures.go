package main

import "strconv"

// Names of figures, which the report's program knows too.
const (
	figOthersCalm    = "p99 of the others, calm"
	figOthersBursts  = "p99 of the others, during bursts to fast clients"
	figOthersSlow    = "p99 of the others, beside slow clients"
	figOthersStalled = "p99 of the others, beside stalled clients"
	figOthersMissing = "missing notifications of the others"
	figShare         = "share of "
	figReaders       = "share of 1,000 × 1 KB, read at "
	figLostAt        = "connections lost, reading at "
	figKernel        = "kernel memory a stalled client"
	figKernelMost    = "kernel memory a stalled client, the most"
	figUser          = "user memory a stalled client"
	figHeld          = "of that alive after a collection"
	figEnded         = "stalled clients are ended after"
	figEndedShare    = "stalled clients that are ended"
	figFar           = "share, far: "
)

func percent(n, of int) float64 { return 100 * float64(n) / float64(max(of, 1)) }

// sizeText is a size or a rate as people say it.
func sizeText(bytes int) string {
	switch {
	case bytes >= 1_000_000 && bytes%1_000_000 == 0:
		return strconv.Itoa(bytes/1_000_000) + " MB"
	case bytes >= 1000 && bytes%1000 == 0:
		return strconv.Itoa(bytes/1000) + " KB"
	}
	return strconv.Itoa(bytes) + " B"
}
