package hub

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"roost/internal/position"
)

// An instance may hear a little later than another one, and markers come meanwhile: whoever comes to it from the faster one is told
// to come again, or resumes. Nobody is told of a gap.
func TestResumeOnAnInstanceThatHearsLater(t *testing.T) {
	t.Parallel()
	const step, lag = 100 * time.Millisecond, position.MaxLag - 100*time.Millisecond
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 11))
		now := time.Now()
		hubs := [2]*Hub{}
		for i := range hubs {
			hubs[i] = New(Config{Logger: quiet(), Now: func() time.Time { return now }, Resume: Resume{
				Memory: make([]byte, 1<<20), Window: time.Minute, Proven: func() time.Time { return now.Add(-lag) }}})
			hubs[i].Marker("first", false)
		}
		fast, slow := hubs[0], hubs[1]
		var later []func(h *Hub) // what the slow one has not heard yet
		hears := func(what func(h *Hub)) {
			what(fast)
			later = append(later, what)
		}
		refused, resumed := 0, 0
		for i := range 600 {
			now = now.Add(step)
			switch text := fmt.Sprint("marker", i/50); i % 50 {
			case 10:
				hears(func(h *Hub) { h.Marker(text, false) })
			case 10 + int(position.MaxLag/step): // as the feed does it
				hears(func(h *Hub) { h.Marker(text, true) })
			default:
				hears(func(h *Hub) { h.Deliver("alice", numbered(i)) })
			}
			keep := random.IntN(int(lag/step) + 1) // the slow one hears none, or some, or all
			for len(later) > keep {
				later[0](slow)
				later = later[1:]
			}
			_, _, w, _ := fast.Arrive(&client{}, Arrival{User: "bob"})
			c := &client{}
			_, _, w, err := slow.Arrive(c, Arrival{User: "bob", Since: w.ID})
			switch {
			case err == ErrBehind && keep > 0:
				refused++
			case err == nil && w.Result == ResumeDone:
				resumed++
			default:
				t.Fatalf("seed %d, step %d, %d behind: %+v, %v", seed, i, len(later), w, err)
			}
			if _, _, back, err := fast.Arrive(&client{}, Arrival{User: "bob", Since: w.ID}); err == nil && w.ID != "" && back.Result != ResumeDone {
				t.Fatalf("seed %d, step %d, and back: %+v", seed, i, back)
			}
		}
		if refused == 0 || resumed == 0 {
			t.Errorf("seed %d: %d were told to come again, %d resumed", seed, refused, resumed)
		}
	}
}
