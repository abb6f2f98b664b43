package netpoll

import (
	"context"
	"crypto/tls"
	"errors"
	"strings"
	"testing"
	"time"

	"roost/hub"
)

// The fate of a watched user's notifications is told once for each connection,
// whichever way it goes.
func TestTracesTellWhatBecame(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *Config) { c.QueueBytes = 5 * 20_200 })
	r.hub.Watch("alice")
	quick, slow := r.connect("alice"), r.upgrade("alice")
	padding := strings.Repeat("x", 20_000)
	go func() {
		for {
			if _, _, err := quick.ReadMessage(); err != nil {
				return
			}
		}
	}()
	last := func() hub.Traced { w := r.hub.Watch("alice"); return w.Latest[len(w.Latest)-1] }
	r.deliver("alice", `{"type":"first"}`)
	eventually(t, "the first is sent to both", func() bool { return last().Sent == 2 })
	eventually(t, "one is dropped", func() bool { // the first one: only so many are remembered
		r.deliverThrough("alice", `{"type":"n","payload":"`+padding+`"}`)
		return last().Failed["queue_full"]+last().Failed["slow_consumer"] == 1
	})
	eventually(t, "the quick one has all of them", func() bool { return last().Sent == 1 && last().Queued() == 0 })
	waiting := 0
	for _, seen := range r.hub.Watch("alice").Latest {
		waiting += seen.Queued()
	}
	if waiting == 0 || waiting > 5 {
		t.Errorf("%d are said to wait, of 5 that may", waiting)
	}
	_ = slow.Close()
	eventually(t, "what waited has failed", func() bool {
		closed, queued := 0, 0
		for _, seen := range r.hub.Watch("alice").Latest {
			closed += seen.Failed["connection_closed"]
			queued += seen.Queued()
		}
		return closed == waiting && queued == 0
	})
}

// The rest of a notification that the kernel had a part of is sent, and told.
func TestTraceOfAPartialFrame(t *testing.T) {
	t.Parallel()
	var q outQueue
	h := hub.New(hub.Config{})
	h.Watch("alice")
	n := &hub.Notification{Frame: make([]byte, 10), Trace: h.NewTrace("alice", 10)}
	q.Push(n)
	q.Push(&hub.Notification{Frame: make([]byte, 10)})
	q.Took(4)
	if got := h.Watch("alice").Latest[0].Sent; got != 0 {
		t.Errorf("a part of it counts as %d sent", got)
	}
	q.Took(7)
	if got := h.Watch("alice").Latest[0].Sent; got != 1 {
		t.Errorf("all of it counts as %d sent", got)
	}
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	before := time.Now()
	r := start(t, func(c *Config) { c.QueueBytes = 5 * 20_200 })
	slow := r.upgrade("alice")
	r.connect("alice")
	padding := strings.Repeat("x", 20_000)
	eventually(t, "one has no more room", func() bool {
		r.deliver("alice", `{"type":"n","payload":"`+padding+`"}`)
		return r.roomless() > 0
	})
	conns, all := r.hub.ConnsOf("alice", 10)
	if all != 2 {
		t.Fatalf("%d connections", all)
	}
	describe := func() map[string]ConnInfo {
		infos, err := r.server.Describe(t.Context(), conns)
		if err != nil {
			t.Fatal(err)
		}
		byPeer := make(map[string]ConnInfo)
		for _, info := range infos {
			byPeer[info.Remote] = info
		}
		return byPeer
	}
	var got map[string]ConnInfo
	var info ConnInfo
	eventually(t, "some time has passed", func() bool {
		got = describe()
		info = got[slow.LocalAddr().String()]
		return info.Stalled > 0 && info.LastRead > 0
	})
	if len(got) != 2 || info.Waiting == 0 || info.Bytes == 0 {
		t.Errorf("%+v", got)
	}
	if secure := strings.TrimPrefix(tls.VersionName(versionOf(t)), "TLS ") + " TLS_"; overTLS(t) != strings.HasPrefix(info.TLS, secure) || !overTLS(t) && info.TLS != "" {
		t.Errorf("TLS is %q", info.TLS)
	}
	if info.Opened.Before(before.Add(-2*time.Second)) || info.Opened.After(time.Now()) {
		t.Errorf("opened at %s, it is %s", info.Opened, time.Now())
	}
	_ = slow.Close()
	eventually(t, "a closed one is left out", func() bool { return len(describe()) == 1 })
}

// A loop that does not answer is said to.
func TestDescribeGivesUp(t *testing.T) {
	t.Parallel()
	r := start(t, func(c *Config) { c.Loops = 1 })
	r.connect("alice")
	conns, _ := r.hub.ConnsOf("alice", 1)
	release := r.server.loops[0].hold()
	defer release()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if infos, err := r.server.Describe(ctx, conns); len(infos) != 0 || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, %v", infos, err)
	}
}
