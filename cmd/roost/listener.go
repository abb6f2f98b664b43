package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"time"

	"github.com/coder/websocket"

	"roost/cmd/roost/internal/printable"
	"roost/cmd/roost/internal/remote"
	"roost/wsproto"
)

// listener prints what a server sends. A server that can say what was missed meanwhile names a position (WS_RESUME_WINDOW):
// then the listener comes back with the last one, until it is told to stay away.
type listener struct {
	env      *environment
	client   *http.Client                       // that connects; nil: the ordinary one
	address  func(since string) (string, error) // of the server, with a token
	position string                             // up to which everything was printed; "": the server has named none
	named    bool                               // by this server, and not only by --since

	pause      func(context.Context, time.Duration) bool // between two attempts
	unanswered *time.Timer                               // tells that the server has said nothing of --since; or nil
}

const (
	askEvery        = 20 * time.Second // how often a listener asks how far it is
	longestWait     = 30 * time.Second // between two attempts to come back
	sinceUnanswered = 2 * time.Second  // after which a server that has said nothing of --since does not resume
)

// run listens until it is interrupted, the server says that it is to stay away, or the connection is lost and there is no
// position to go on from.
func (l *listener) run() error {
	for failures := 0; ; failures++ {
		opened, err := l.listen()
		switch {
		case l.env.ctx.Err() != nil:
			return nil
		case !l.named || final(err):
			return err
		case opened:
			failures = 0
		}
		wait := time.Duration(rand.Int64N(int64(min(longestWait, time.Second<<min(failures, 5)))))
		_, _ = fmt.Fprintf(l.env.stderr, "%v; connecting again in %s\n", err, wait.Round(100*time.Millisecond))
		l.pause(l.env.ctx, wait)
	}
}

// final reports whether another attempt would end as this one did.
func final(err error) bool {
	var closed *closedError
	var refused *remote.Refusal
	switch {
	case errors.As(err, &closed):
		return wsproto.CloseCode(closed.code).Final()
	case errors.As(err, &refused):
		return refused.Status < 500
	}
	return false
}

// listen connects once, and prints until the connection ends. opened says that it was open.
func (l *listener) listen() (opened bool, err error) {
	address, err := l.address(l.position)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(l.env.ctx, 10*time.Second)
	defer cancel()
	conn, err := remote.Dial(ctx, address, l.client)
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.CloseNow() }()
	_, _ = fmt.Fprintln(l.env.stderr, "connected; each line below is a notification (Ctrl-C ends)")
	if l.position != "" && !l.named {
		// A server that resumes says so before anything else. Another one has nothing to say of it.
		l.unanswered = time.AfterFunc(sinceUnanswered, func() {
			l.tell("the server does not say what was missed since then: it keeps nothing for those who are away (WS_RESUME_WINDOW)")
		})
		defer l.unanswered.Stop()
	}
	return true, l.read(conn)
}

// read prints until the connection ends.
func (l *listener) read(conn *websocket.Conn) error {
	ctx, cancel := context.WithCancel(l.env.ctx)
	defer cancel()
	err := printMessages(ctx, conn, func(message []byte) {
		var m received
		_ = json.Unmarshal(message, &m) // what it can't be read as has no position
		switch m.Type {
		case "_hello":
			l.greeted(m.Payload)
			go askPosition(ctx, conn)
			return
		case "pong":
			l.reached(m.ID)
			return
		}
		l.reached(m.ID)
		_, _ = fmt.Fprintf(l.env.stdout, "%s\n", printable.Line(message))
	})
	var closed *closedError
	if errors.As(err, &closed) {
		if id := endsAt.FindStringSubmatch(closed.reason); id != nil && l.named {
			l.reached(id[1])
		}
	}
	return err
}

// received is what a listener looks at.
type received struct {
	Type    string
	Payload json.RawMessage
	ID      string
}

// endsAt finds the position in the reason of a planned end.
var endsAt = regexp.MustCompile(`\bid=([\w.-]+)`)

// greeted notes the server's first message. Missed notifications follow it, each with its own position, and the
// server's would step over it.
func (l *listener) greeted(payload json.RawMessage) {
	var hello struct {
		ID      string
		Resumed json.RawMessage
	}
	var resumed struct{ Missed int }
	if json.Unmarshal(payload, &hello) != nil || hello.ID == "" {
		return
	}
	if l.unanswered != nil {
		l.unanswered.Stop()
	}
	_ = json.Unmarshal(hello.Resumed, &resumed) // false says that nothing can be told
	switch {
	case hello.Resumed == nil: // nothing was asked
	case string(hello.Resumed) == "false":
		l.tell("not resumed: the server can't say what was missed")
	default:
		l.tell(fmt.Sprintf("resumed: %d missed", resumed.Missed))
	}
	if l.named = true; resumed.Missed == 0 {
		l.reached(hello.ID)
	}
}

// reached notes a position up to which everything was printed.
func (l *listener) reached(id string) {
	if id != "" {
		l.position = id
	}
}

func (l *listener) tell(text string) { _, _ = fmt.Fprintln(l.env.stderr, text) }

// askPosition asks how far the connection is, so that the position of a listener that hears nothing does not grow old.
func askPosition(ctx context.Context, conn *websocket.Conn) {
	ticker := time.NewTicker(askEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if conn.Write(ctx, websocket.MessageText, []byte(`{"type":"ping"}`)) != nil {
				return // reading finds out why
			}
		case <-ctx.Done():
			return
		}
	}
}
