package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"roost/internal/plural"
)

// ErrNoSuchUser is returned by Config.Why for a text that can't be a user id.
var ErrNoSuchUser = errors.New("not a user id")

// Why is all that explains why a user gets notifications, or does not. It has no token and no payload in it.
// It is the JSON of /why.
type Why struct {
	User    string `json:"user"`
	Channel string `json:"channel"` // that backends publish to for this user
	Command string `json:"command"` // that they do it with: PUBLISH, or SPUBLISH
	Verdict string `json:"verdict"` // in words; set by the admin server

	Alone   bool `json:"-"`                 // this user is subscribed to alone, and only while connected
	Unheard bool `json:"unheard,omitempty"` // Redis has not confirmed that yet

	Connections int             `json:"connections"` // on this server
	Open        []WhyConnection `json:"open"`        // of these, 20 at most
	Problem     string          `json:"problem,omitempty"`

	Redis      RedisState `json:"-"`
	RedisSince time.Time  `json:"redis_since"` // when it was connected, or lost
	RedisJSON  redisJSON  `json:"redis"`       // set by the admin server

	WatchedSince time.Time         `json:"watched_since"` // notifications are seen from then on
	WatchedUntil time.Time         `json:"watched_until"` // as long as nobody asks again
	Seen         int               `json:"notifications"` // since WatchedSince
	Latest       []WhyNotification `json:"latest"`        // of these, the last 20, oldest first
}

// WhyConnection is an open connection.
type WhyConnection struct {
	Remote       string     `json:"remote"`
	Transport    string     `json:"transport,omitempty"` // "sse" for an event stream; "": a WebSocket
	TLS          string     `json:"tls,omitempty"`       // version and cipher suite; "": without TLS on this server
	Since        time.Time  `json:"since"`
	HeardSeconds float64    `json:"heard_seconds"` // ago: the last bytes from the client; of an event stream, its last acknowledgement
	StalledFor   float64    `json:"stalled_seconds,omitempty"`
	Waiting      int        `json:"waiting"` // notifications
	WaitingBytes int        `json:"waiting_bytes"`
	UnackedBytes int        `json:"unacknowledged_bytes"` // that were sent, and the client has not acknowledged
	ID           string     `json:"id,omitempty"`         // that "only" and "except" name; absent where the client did not ask for one
	Expires      *time.Time `json:"expires,omitempty"`    // when it ends, unless its client renews the token; absent where it does not end with that
	Groups       []string   `json:"groups,omitempty"`     // that it is in, sorted; of its token, or joined by a command
	Joined       []string   `json:"joined,omitempty"`     // of these: by a command
}

// How says in a few words what the connection is beyond a plain WebSocket: sse, TLS 1.3 TLS_AES_128_GCM_SHA256.
func (c *WhyConnection) How() string {
	how := c.Transport
	if c.TLS != "" {
		if how != "" {
			how += ", "
		}
		how += "TLS " + c.TLS
	}
	return how
}

// WhyNotification is what became of one notification.
type WhyNotification struct {
	At          time.Time      `json:"at"`
	Type        string         `json:"type,omitempty"`
	Bytes       int            `json:"bytes"`
	Via         string         `json:"via,omitempty"`      // "everyone", or "group " and its name; "": it was for this user
	Replayed    bool           `json:"replayed,omitempty"` // to a connection that had missed it
	Outcome     string         `json:"outcome"`            // the worst of all connections; set by the admin server
	Connections int            `json:"connections"`        // that it went to
	Sent        int            `json:"sent"`
	Unacked     int            `json:"unacknowledged,omitempty"` // of Sent: the connection ended before the client had acknowledged it
	Queued      int            `json:"queued"`
	Failed      map[string]int `json:"failed,omitempty"`  // by reason
	TookMS      float64        `json:"took_ms,omitempty"` // until the last of Sent and Failed
	Traceparent string         `json:"traceparent,omitempty"`
	Problem     string         `json:"problem,omitempty"` // why it went to nobody
}

// The fates of a notification.
const (
	outcomeSent    = "sent"
	outcomeUnacked = "unacknowledged"
	outcomeQueued  = "queued"
	outcomeDropped = "dropped"
	outcomeClosed  = "closed"
	outcomeOffline = "offline"
	outcomeInvalid = "invalid"
	outcomeUnnamed = "other_connections" // by "only" or "except"
)

// Reasons of deliveries that failed: the connection ended, and the client was slow.
const (
	failedByClosing  = "connection_closed"
	failedBySlowness = "slow_consumer"
)

// problemTooMany is the problem of one for everyone or a group that was dropped because too many waited: hub.ProblemDropped.
const problemTooMany = "too_many_broadcasts"

// outcome puts into one word what became of a notification.
func (n *WhyNotification) outcome() string {
	switch {
	case n.Problem == outcomeOffline:
		return outcomeOffline
	case n.Problem == outcomeUnnamed:
		return outcomeUnnamed
	case n.Problem == problemTooMany:
		return outcomeDropped
	case n.Problem != "":
		return outcomeInvalid
	}
	for reason := range n.Failed {
		if reason != failedByClosing {
			return outcomeDropped
		}
	}
	switch {
	case n.Queued > 0:
		return outcomeQueued
	case n.Failed[failedByClosing] > 0:
		return outcomeClosed
	case n.Unacked > 0:
		return outcomeUnacked
	}
	return outcomeSent
}

// complete fills in what follows from the rest.
func (w *Why) complete() {
	w.RedisJSON = redisHealth(w.Redis)
	for i := range w.Latest {
		w.Latest[i].Outcome = w.Latest[i].outcome()
	}
	if w.Open == nil {
		w.Open = []WhyConnection{} // a list for whoever reads it
	}
	if w.Latest == nil {
		w.Latest = []WhyNotification{}
	}
	w.Verdict = w.verdict()
}

// verdict says the first thing that explains why nothing arrives, or that nothing here does.
func (w *Why) verdict() string {
	switch {
	case !w.Redis.Connected:
		return fmt.Sprintf("This server is not connected to Redis since %s, so nothing can come: %s.", clock(w.RedisSince), w.Redis.Err)
	case w.Connections == 0:
		return w.verdictOffline()
	case w.Unheard:
		return "Redis has not confirmed the subscription to this user, so nothing can come: its shard may be away. The log says which is."
	case w.stalled() != nil:
		c := w.stalled()
		wait := plural.Count(c.Waiting, "notification") + " wait"
		if c.Waiting == 1 {
			wait += "s"
		}
		return fmt.Sprintf("The client at %s has taken nothing for %.0f s; %s for it.", c.Remote, c.StalledFor, wait)
	case w.Seen == 0:
		return fmt.Sprintf("Connected, but nothing was published for this user since %s: is the channel's name right, to the letter? It has to be %s %s.",
			clock(w.WatchedSince), w.Command, w.Channel)
	}
	last := &w.Latest[len(w.Latest)-1]
	switch last.Outcome {
	case outcomeUnnamed:
		return fmt.Sprintf("The last notification, at %s, was for other connections, by its only or except.", clock(last.At))
	case outcomeOffline:
		return fmt.Sprintf("The last notification, at %s, came while the user was not connected.", clock(last.At))
	case outcomeInvalid:
		return fmt.Sprintf("The last notification, at %s, was skipped for its content: %s.", clock(last.At), last.Problem)
	case outcomeDropped:
		if last.Problem != "" {
			return fmt.Sprintf("The last notification, at %s, was dropped: more is published for %s than can be delivered.", clock(last.At), last.Via)
		}
		why := "more came at once than may wait"
		switch {
		case last.Failed[failedBySlowness] > 0:
			why = "the client reads too slowly"
		case last.Failed["expired"] > 0:
			return fmt.Sprintf("The last notification, at %s, was dropped: it waited for longer than its ttl, because the client takes nothing.", clock(last.At))
		case last.Failed["collapsed"] > 0:
			return fmt.Sprintf("The last notification, at %s, was dropped: a later one with the same collapse took its place while it waited.", clock(last.At))
		}
		return fmt.Sprintf("The last notification, at %s, was dropped for want of room: %s.", clock(last.At), why)
	case outcomeQueued:
		return fmt.Sprintf("The last notification, at %s, waits for %d of %s.", clock(last.At), last.Queued, plural.Count(last.Connections, "connection"))
	case outcomeUnacked:
		return fmt.Sprintf("The last notification, at %s, was sent, but the connection ended before the client had acknowledged it: most likely it never arrived.", clock(last.At))
	case outcomeClosed:
		return fmt.Sprintf("The last notification, at %s, was lost with a connection that ended.", clock(last.At))
	}
	if c := w.silent(); c != nil && time.Since(last.At) > silentAfter*time.Second {
		return fmt.Sprintf("The last notification, at %s, was sent, but the client at %s has not acknowledged %s, and nothing came from it for %.0f s: it may be gone.",
			clock(last.At), c.Remote, plural.Count(c.UnackedBytes, "byte"), c.HeardSeconds)
	}
	return fmt.Sprintf("The last notification, at %s, left for all connections that were open (%d), within %.2f ms: look at the client.",
		clock(last.At), last.Connections, last.TookMS)
}

func (w *Why) verdictOffline() string {
	if w.Alone {
		return "The user has no connection to this server, which hears nothing of what is published for them, then (REDIS_FEED)."
	}
	if w.Seen == 0 {
		return "The user has no connection to this server. Nothing was published for them since they are watched."
	}
	return fmt.Sprintf("The user has no connection to this server; %s came since %s.", plural.Count(w.Seen, "notification"), clock(w.WatchedSince))
}

// stalled returns the open connection that takes nothing for longest, or nil.
func (w *Why) stalled() *WhyConnection {
	var worst *WhyConnection
	for i := range w.Open {
		if c := &w.Open[i]; c.StalledFor >= 1 && (worst == nil || c.StalledFor > worst.StalledFor) {
			worst = c
		}
	}
	return worst
}

// silentAfter is how long a client that has bytes to acknowledge is heard nothing of before that says something.
const silentAfter = 2 // seconds

// silent returns the open connection that has not acknowledged most, of those that nothing came from lately, or nil.
func (w *Why) silent() *WhyConnection {
	var worst *WhyConnection
	for i := range w.Open {
		if c := &w.Open[i]; c.UnackedBytes > 0 && c.HeardSeconds >= silentAfter && (worst == nil || c.UnackedBytes > worst.UnackedBytes) {
			worst = c
		}
	}
	return worst
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05") + " UTC" }

func (s *Server) serveWhy(w http.ResponseWriter, r *http.Request) {
	if s.cfg.Why == nil {
		writeError(w, http.StatusNotImplemented, "looking at users is not set up")
		return
	}
	user := r.URL.Query().Get("user")
	if user == "" {
		writeError(w, http.StatusBadRequest, "whose? /why?user=alice is right")
		return
	}
	why, err := s.cfg.Why(r.Context(), user)
	switch {
	case errors.Is(err, ErrNoSuchUser):
		writeError(w, http.StatusBadRequest, err.Error())
	case err != nil:
		writeError(w, http.StatusInternalServerError, err.Error())
	default:
		why.complete()
		writeJSON(w, http.StatusOK, marshal(why))
	}
}
