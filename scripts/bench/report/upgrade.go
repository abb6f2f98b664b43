package main

import (
	"fmt"
	"strings"
)

// The step that replaces the program, its servers, and its figures, as roostbench writes them.
const (
	stepUpgrade = "upgrade"
	handedOver  = "handover" // Roost with WS_UPGRADE=handover

	upgradeP99     = "notifications from the signal on, p99"
	upgradeRatio   = "memory of both, in times of the old one's"
	upgradeClosed  = "connections closed"
	upgradeMissing = "notifications missing"

	upgradeMost = 15_000  // connections
	upgradeFar  = 200_000 // which can't be measured here
)

// upgradeTargets are those of upgrades that hand the connections over.
func (s *summary) upgradeTargets() []verdict {
	return []verdict{
		atMost("upgrade-pause", "An upgrade with 15,000 connections: 99% of the notifications from the signal on come within 100 ms",
			s.at(stepUpgrade, handedOver, upgradeP99, upgradeMost, "ms"), 100),
		atMost("upgrade-memory", "both processes together have at most 2.2 times the memory of the old one",
			s.at(stepUpgrade, handedOver, upgradeRatio, upgradeMost, "times"), 2.2),
		atMost("upgrade-losses", "and in all upgrades nobody is disconnected, and nothing is lost", s.upgradeLosses(), 0),
	}
}

// upgradeLosses is the sum over all rounds and sizes.
func (s *summary) upgradeLosses() *result {
	sum, upgrades := 0.0, 0
	for _, m := range s.of(stepUpgrade, handedOver) {
		for _, f := range m.Figures {
			switch f.Name {
			case upgradeMissing:
				sum += f.Value
			case upgradeClosed:
				sum += f.Value
				upgrades++
			}
		}
	}
	if upgrades == 0 {
		return nil
	}
	return &result{sum, fmt.Sprintf("%s in %d upgrades", number(sum), upgrades)}
}

// upgradeFarTable is what the figures that grow with connections would be with far more: where the straight line through the medians with
// the fewest and with the most connections is.
func (s *summary) upgradeFarTable() string {
	var text strings.Builder
	_, _ = fmt.Fprintf(&text, "| extrapolated to %s | %s |\n|---|---:|\n", number(upgradeFar), handedOver)
	for _, f := range []struct{ name, unit string }{
		{"from the signal until the new process serves", "s"}, {"everything stands still", "s"}, {"memory of both processes, the most", "MiB"},
	} {
		sizes := s.sizes(stepUpgrade, handedOver, f.name)
		if len(sizes) < 2 {
			return ""
		}
		few, many := sizes[0], sizes[len(sizes)-1]
		a, b := s.at(stepUpgrade, handedOver, f.name, few, ""), s.at(stepUpgrade, handedOver, f.name, many, "")
		far := b.value + (b.value-a.value)*float64(upgradeFar-many)/float64(many-few)
		if f.unit == "s" { // measured in ms
			far /= 1000
		}
		_, _ = fmt.Fprintf(&text, "| %s, %s | %s |\n", f.name, f.unit, number(far))
	}
	return text.String()
}
