package webhook

import (
	"crypto/rand"
	"encoding/json"
	"time"
)

// Event is a user who has become online or offline.
type Event struct {
	User   string
	Online bool
	At     time.Time
}

// The types of events.
const (
	typeOnline  = "user.online"
	typeOffline = "user.offline"
)

// timeFormat is RFC 3339 with all six digits, so that texts of UTC compare as the times do.
const timeFormat = "2006-01-02T15:04:05.000000Z07:00"

// wireEvent is an event as the endpoint gets it.
type wireEvent struct {
	ID        string `json:"id"`
	Type      string `json:"type"`
	Timestamp string `json:"timestamp"`
	User      string `json:"user"`
}

// encode writes an event with an id of its own.
func (e Event) encode() []byte {
	kind := typeOffline
	if e.Online {
		kind = typeOnline
	}
	text, _ := json.Marshal(wireEvent{ID: "evt_" + rand.Text(), Type: kind, Timestamp: e.At.UTC().Format(timeFormat), User: e.User}) // strings can always be written
	return text
}
