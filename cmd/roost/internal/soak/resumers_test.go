package soak

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"roost/cmd/roost/internal/roosttest"
	"roost/internal/pause"
)

// resumer is a client that is cut off again and again, and comes back with the last id that it was given. It may miss
// nothing but what a gap was told for.
type resumer struct {
	user string
	url  string
	id   string

	// Of run's goroutine; of the test's when done is closed.
	came    chan struct{} // it has connected once, or can't
	stays   chan struct{} // it goes no more
	done    chan struct{} // the last notification has come, or none can come any more
	events  []int         // the numbers that it got, and gap where it was told of one
	faults  []string
	resumed int
}

// gapTold is among a resumer's events.
const gapTold = -1

func newResumer(t *testing.T, server *roosttest.Server, user string) *resumer {
	return &resumer{user: user, url: server.URL(roosttest.Token(t, user)), came: make(chan struct{}), stays: make(chan struct{}), done: make(chan struct{})}
}

// run comes and goes until ctx ends, and then stays until the last notification has come.
func (r *resumer) run(ctx context.Context) {
	defer close(r.done)
	for first := true; ; first = false {
		ending := ctx.Err() != nil
		conn := r.connect()
		if first {
			close(r.came)
		}
		if ending || conn == nil {
			close(r.stays)
		}
		if conn == nil {
			return
		}
		limit := rand.N(300 * time.Millisecond)
		if ending {
			limit = roosttest.Limit
		}
		if r.read(conn, limit); ending {
			_ = conn.Close()
			return
		}
		if tcp, ok := conn.NetConn().(*net.TCPConn); ok && rand.IntN(2) == 0 {
			_ = tcp.SetLinger(0) // a reset
		}
		_ = conn.Close()
		pause.For(ctx, rand.N(100*time.Millisecond))
	}
}

// connect comes back. It is refused while the server is full of others, or has to catch up.
func (r *resumer) connect() *websocket.Conn {
	dialer := websocket.Dialer{HandshakeTimeout: roosttest.Limit}
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) { // between two attempts
		conn, _, err := dialer.Dial(r.url+"&since="+r.id, nil)
		if err == nil {
			roosttest.AnswerPings(conn)
			return conn
		}
		if time.Since(began) > roosttest.Limit {
			r.faults = append(r.faults, fmt.Sprintf("%s: connecting: %v", r.user, err))
			return nil
		}
	}
}

// read reads for a while, or until the last notification has come.
func (r *resumer) read(conn *websocket.Conn, limit time.Duration) {
	_ = conn.SetReadDeadline(time.Now().Add(limit))
	for {
		if _, message, err := conn.ReadMessage(); err != nil || r.take(message) {
			return
		}
	}
}

// take notes a message, and says whether it is the last notification.
func (r *resumer) take(message []byte) (last bool) {
	var got struct {
		Type    string
		ID      string
		Payload json.RawMessage
	}
	var payload struct {
		ID      string
		Resumed json.RawMessage
		User    string
		Seq     int
	}
	if json.Unmarshal(message, &got) != nil || got.Type != "last" && json.Unmarshal(got.Payload, &payload) != nil {
		r.faults = append(r.faults, fmt.Sprintf("%s: %.100q", r.user, message))
		return false
	}
	switch got.Type {
	case "_hello":
		r.id = payload.ID
		if strings.HasPrefix(string(payload.Resumed), "{") {
			r.resumed++
		}
	case "_gap":
		r.events = append(r.events, gapTold)
	case "last":
		return true
	case "soak":
		if payload.User != r.user {
			r.faults = append(r.faults, fmt.Sprintf("%s: a notification for %q", r.user, payload.User))
			return false
		}
		r.events = append(r.events, payload.Seq)
	}
	if got.ID != "" {
		r.id = got.ID
	}
	return false
}

// judge compares with what was published: each number came once, in order, or a gap was told where it should have come.
// It returns how many came.
func (r *resumer) judge(all []publication) (arrived int, faults []string) {
	next, told := 0, false
	passed := func(to int) {
		for ; next < to; next++ {
			if p := all[next]; !told && p.state == heard {
				faults = append(faults, fmt.Sprintf("%s: %d is missing, and no gap was told, in epoch %d", r.user, next, p.epoch))
			}
		}
	}
	for _, event := range r.events {
		switch {
		case event == gapTold:
			told = true
			continue
		case event < next || event >= len(all):
			faults = append(faults, fmt.Sprintf("%s: got %d where %d was next", r.user, event, next))
			continue
		}
		passed(event)
		next, told = event+1, false
		arrived++
	}
	passed(len(all))
	return arrived, append(faults, r.faults...)
}

func TestResumersJudge(t *testing.T) {
	t.Parallel()
	now := time.Now()
	all := make([]publication, 6)
	for i := range all {
		all[i] = publication{state: heard, sent: now, replied: now}
	}
	all[4].state = unheard
	for name, test := range map[string]struct {
		events []int
		faults int
	}{
		"all":             {[]int{0, 1, 2, 3, 5}, 0},
		"a gap":           {[]int{0, gapTold, 3, 5}, 0},
		"a silent hole":   {[]int{0, 3, 5}, 2},
		"a gap too early": {[]int{gapTold, 0, 2, 3, 5}, 1},
		"twice":           {[]int{0, 1, 1, 2, 3, 5}, 1},
		"not the last":    {[]int{0, 1, 2, 3}, 1},
	} {
		if _, faults := (&resumer{user: "alice", events: test.events}).judge(all); len(faults) != test.faults {
			t.Errorf("%s: %q", name, faults)
		}
	}
}
