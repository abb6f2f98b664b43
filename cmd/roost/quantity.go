package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// lifetime is a duration as people write it: what time.ParseDuration takes, and days and weeks.
type lifetime time.Duration

// UnmarshalText implements encoding.TextUnmarshaler, which kong calls.
func (l *lifetime) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	for unit, long := range map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		number, found := strings.CutSuffix(s, unit)
		n, err := strconv.Atoi(number)
		if !found || err != nil {
			continue
		}
		if n > int(math.MaxInt64/long) || n < -int(math.MaxInt64/long) {
			return fmt.Errorf("%q is longer than 290 years", s)
		}
		*l = lifetime(time.Duration(n) * long)
		return nil
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("%q: want a number with its unit, such as 90s, 15m, 1h or 7d", s)
	}
	*l = lifetime(d)
	return nil
}

// wholeNumber is one number as people write it: 100000, 100,000, 100_000, 100k, 1.5M.
type wholeNumber int

// UnmarshalText implements encoding.TextUnmarshaler, which kong calls.
func (c *wholeNumber) UnmarshalText(text []byte) error {
	s := strings.NewReplacer(",", "", "_", "", " ", "").Replace(string(text))
	times := 1.0
	switch {
	case strings.HasSuffix(s, "k"), strings.HasSuffix(s, "K"):
		s, times = s[:len(s)-1], 1e3
	case strings.HasSuffix(s, "m"), strings.HasSuffix(s, "M"):
		s, times = s[:len(s)-1], 1e6
	}
	f, err := strconv.ParseFloat(s, 64)
	if f *= times; err != nil || f != math.Trunc(f) || f < 0 || f > 1e9 {
		return fmt.Errorf("%q: want a whole number from 0 to 1,000,000,000, such as 100000, 100k or 1M", text)
	}
	*c = wholeNumber(f)
	return nil
}
