package main

import (
	"strings"
	"testing"
)

func burstSummary(short, far float64) *summary {
	figures := func(server string, share float64) measurement {
		return measurement{Step: stepBursts, Server: server, Title: "bursts", Round: 1, Figures: []figure{
			{Name: "p99 of the others, calm", Value: 0.5, Unit: "ms"},
			{Name: "share of 200 × 1 KB", At: 1, Value: 100, Unit: "%"}, {Name: "share of 200 × 1 KB", At: 20, Value: share, Unit: "%"},
			{Name: "share of 5,000 × 10 KB", At: 1, Value: 12, Unit: "%"}, // 50 MB: nobody promises that
			{Name: "share of 1,000 × 1 KB, " + crawling, Value: 42, Unit: "%"},
			{Name: kernelStalled, Value: 64, Unit: "KiB"},
			{Name: userStalled, Value: 5000, Unit: "KiB"},
		}}
	}
	return &summary{Reports: []measurement{
		figures(ours, short), figures("nbio", 100),
		{Step: stepFar, Server: ours, Title: "far", Round: 1, Figures: []figure{{Name: "share, far: 1,000 × 1 KB at 300ms and 2 MB/s", Value: far, Unit: "%"}}},
	}}
}

func TestBurstTable(t *testing.T) {
	t.Parallel()
	s := burstSummary(99.99, 100)
	want := "| % of it arrives, with 1 and 20 connections | roost | nbio |\n|---|---:|---:|\n" +
		"| 200 × 1 KB | 100 · 99.9 | 100 · 100 |\n| 5,000 × 10 KB | 12 | 12 |\n"
	if got := s.burstTable(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	plain := s.plainTable(stepBursts)
	if strings.Contains(plain, "share of 200") || !strings.Contains(plain, "| "+kernelStalled+", KiB | 64 | 64 |") {
		t.Error(plain)
	}
}

func TestBurstTargets(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		short, far float64
		met        bool
		says       string
	}{
		"all comes":           {100, 100, true, "100% at the least"},
		"a little is missing": {99.99, 100, false, "99.9% at the least (share of 200 × 1 KB at 20)"},
		"missing afar":        {100, 50, false, "50% at the least (share, far: 1,000 × 1 KB at 300ms and 2 MB/s)"},
	} {
		got := burstSummary(tt.short, tt.far).burstTargets()
		if got[0].Met != tt.met || !strings.HasPrefix(got[0].Measured, tt.says) {
			t.Errorf("%s: %+v", name, got[0])
		}
		if got[1].Met || !strings.HasPrefix(got[1].Measured, "42% at the least") {
			t.Errorf("%s: %+v", name, got[1])
		}
		if !got[2].Met || got[3].Met || got[4].Measured != "" {
			t.Errorf("%s: %+v", name, got[2:])
		}
	}
}
