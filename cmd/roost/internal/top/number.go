package top

import (
	"strconv"
	"time"

	"roost/internal/plural"
)

// count writes 12,345, and 12.3 M above ten million.
func count(n float64) string {
	if n >= 1e7 {
		return strconv.FormatFloat(n/1e6, 'f', 1, 64) + " M"
	}
	digits := strconv.FormatFloat(n, 'f', 0, 64)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// counted writes 1 gap, 2 gaps.
func counted(n uint64, what string) string {
	return count(float64(n)) + " " + plural.Noun(n, what)
}

// rate writes what happens in a second: 0, 0.3, 12, 3,400.
func rate(n float64) string {
	if n > 0 && n < 9.95 {
		return strconv.FormatFloat(n, 'f', 1, 64)
	}
	return count(n)
}

// size writes a number of bytes.
func size(n float64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	unit := 0
	for n >= 1024 && unit < len(units)-1 {
		n /= 1024
		unit++
	}
	decimals := 1
	if unit == 0 || n >= 100 {
		decimals = 0
	}
	return strconv.FormatFloat(n, 'f', decimals, 64) + " " + units[unit]
}

// milliseconds writes 0.31 ms, 12 ms or 1.2 s; a dash for nil.
func milliseconds(ms *float64) string {
	switch {
	case ms == nil:
		return "–"
	case *ms >= 1000:
		return strconv.FormatFloat(*ms/1000, 'f', 1, 64) + " s"
	case *ms < 10:
		return strconv.FormatFloat(*ms, 'f', 2, 64) + " ms"
	}
	return strconv.FormatFloat(*ms, 'f', 0, 64) + " ms"
}

// percent writes a share.
func percent(share float64) string { return strconv.FormatFloat(share*100, 'f', 0, 64) + " %" }

// duration writes a time as its two largest units: 3 d 4 h.
func duration(d time.Duration) string {
	units := []struct {
		name string
		size time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"min", time.Minute}, {"s", time.Second}}
	for i, u := range units {
		if d < u.size && i < len(units)-1 {
			continue
		}
		text := strconv.Itoa(int(d/u.size)) + " " + u.name
		if i < len(units)-1 {
			if rest := int(d % u.size / units[i+1].size); rest > 0 {
				text += " " + strconv.Itoa(rest) + " " + units[i+1].name
			}
		}
		return text
	}
	return ""
}
