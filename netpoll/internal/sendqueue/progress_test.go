package sendqueue

import (
	"testing"
	"time"
)

func TestProgress(t *testing.T) {
	t.Parallel()
	type step struct {
		at      time.Duration
		do      string // stall, resume or look; excuse, until the second that unacked says
		unacked int
		idle    time.Duration
		slow    bool
	}
	const s = time.Second
	for name, steps := range map[string][]step{
		"takes nothing": {
			{1 * s, "stall", 100, 0, false}, {2*s - 1, "look", 100, s - 1, false},
			{2 * s, "look", 100, s, true}, {11 * s, "look", 100, 10 * s, true}},
		"takes a little now and then": {
			{1 * s, "stall", 100, 0, false}, {9 * s, "look", 99, 0, true},
			{12 * s, "look", 99, 3 * s, true}, {18 * s, "look", 98, 0, true}},
		"the kernel takes some": {
			{1 * s, "stall", 100, 0, false}, {3 * s, "resume", 0, 0, true},
			{3 * s, "stall", 120, 0, true}, {4 * s, "look", 120, s, true}, {5 * s, "look", 119, 0, true}},
		"what it had acknowledged counts once": {
			{1 * s, "stall", 100, 0, false}, {2 * s, "look", 50, 0, true},
			{3 * s, "look", 60, s, true}, {4 * s, "look", 50, 2 * s, true}},
		"excused for a pause until the seventh second, once": {
			{1 * s, "stall", 100, 0, false}, {8 * s, "excuse", 7, s, true}, {9 * s, "excuse", 7, 2 * s, true},
			{10 * s, "look", 99, 0, true}, {11 * s, "excuse", 7, s, true}},
	} {
		var p Progress
		if p.Idle(s) != 0 || p.Slow(s) {
			t.Errorf("%s: idle or slow from the beginning", name)
		}
		for i, step := range steps {
			switch step.do {
			case "stall":
				p.Stall(step.at, step.unacked)
			case "look":
				p.Look(step.at, step.unacked)
			case "resume":
				p.Resume()
			case "excuse":
				p.Excuse(time.Duration(step.unacked) * s)
			}
			if idle, slow := p.Idle(step.at), p.Slow(step.at); idle != step.idle || slow != step.slow {
				t.Errorf("%s, step %d: idle for %s, slow %v; want %s, %v", name, i, idle, slow, step.idle, step.slow)
			}
		}
	}
}

func TestProgressLooks(t *testing.T) {
	t.Parallel()
	const s, wait = time.Second, 32 * time.Second
	var p Progress
	p.Stall(100*s, 1000)
	for want := 104 * s; want <= 136*s; want += 4 * s {
		at := p.LookAt(wait)
		if at != want {
			t.Fatalf("looks at %s, want %s", at, want)
		}
		p.Look(at, 0) // the first look finds all acknowledged
	}
	if idle := p.Idle(136 * s); idle != wait {
		t.Errorf("idle for %s at the last look, want %s", idle, wait)
	}
}
