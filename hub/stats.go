package hub

import (
	"sync/atomic"
	"time"
)

// Invalid says why a notification could not be used.
type Invalid uint8

// The reasons for which a published payload is counted and left out.
const (
	invalidNone          Invalid = iota
	InvalidUTF8                  // bytes that are not UTF-8
	InvalidJSON                  // not JSON
	InvalidShape                 // JSON, but not an object
	InvalidTypeMissing           // no member "type"
	InvalidTypeNotString         // "type" is not a string
	InvalidTypeReserved          // "type" begins with "_": such envelopes are Roost's own
	InvalidTooBig                // more bytes than Limits.MaxNotification
	InvalidOnly                  // "only" names no connections
	InvalidExcept                // "except" names no connections
	InvalidTTL                   // "ttl" is not a number of seconds
	InvalidCollapse              // "collapse" is not a key
	invalidCount
)

var invalidNames = [invalidCount]string{
	InvalidUTF8:          "invalid_utf8",
	InvalidJSON:          "invalid_json",
	InvalidShape:         "not_an_object",
	InvalidTypeMissing:   "type_missing",
	InvalidTypeNotString: "type_not_a_string",
	InvalidTypeReserved:  "type_reserved",
	InvalidTooBig:        "too_big",
	InvalidOnly:          "only_invalid",
	InvalidExcept:        "except_invalid",
	InvalidTTL:           "ttl_invalid",
	InvalidCollapse:      "collapse_invalid",
}

// optionForms are the right forms of members beside type and payload.
var optionForms = map[Invalid]string{
	InvalidOnly:     `"only" has to be the id of a connection, such as "q83vEjRWeJA", or a list of up to 100 ids`,
	InvalidExcept:   `"except" has to be the id of a connection, such as "q83vEjRWeJA", or a list of up to 100 ids`,
	InvalidTTL:      `"ttl" has to be a number of seconds from 0 to 31536000`,
	InvalidCollapse: `"collapse" has to be a string of 1 to 255 bytes`,
}

// String returns the reason as metrics and logs name it.
func (i Invalid) String() string { return invalidNames[i] }

// counters are written by the feed's goroutine and read by any.
type counters struct {
	received atomic.Uint64
	offline  atomic.Uint64
	unnamed  atomic.Uint64
	invalid  [invalidCount]atomic.Uint64

	commands, commandsInvalid               atomic.Uint64
	groupsJoined, groupsLeft, groupsRefused atomic.Uint64

	broadcasts, toGroups, groupsOffline atomic.Uint64

	broadcastTime     atomic.Int64               // nanoseconds; written by RunBroadcasts, as the next
	broadcastsDropped [dropReasons]atomic.Uint64 // and by the feed's goroutine
}

// Stats is what the hub has counted since it was made. The numbers are read one
// after another, each exact.
type Stats struct {
	Connections int    // admitted now
	Users       int    // with at least one connection now
	Received    uint64 // notifications handed to Deliver
	Offline     uint64 // of these: the user was not here
	Unnamed     uint64 // of these: the user was here, with no connection that they were for
	// Invalid is how many of these, of Broadcasts and of GroupNotifications could not be used, by reason. Only those for
	// users and groups who are here are looked at.
	Invalid map[string]uint64

	Commands        uint64 // done by Control, also where the user was not here
	CommandsInvalid uint64 // that Control could not use
	// GroupChanges is how many groups connections joined and left by commands and renewed tokens, in connections × groups, by what became of them:
	// joined, left, or refused because the connection is in too many.
	GroupChanges map[string]uint64

	Broadcasts         uint64 // handed to Broadcast
	GroupNotifications uint64 // handed to DeliverGroup
	GroupsOffline      uint64 // of these: nobody here was in the group
	BroadcastsWaiting  int    // of both, see Hub.BroadcastsWaiting
	BroadcastBytes     int    // that these are charged
	// BroadcastsDropped is how many of both did not reach all connections that they were for, by reason: because too many
	// waited, or because EndBroadcasts had no more time. To none of these connections they were accepted.
	BroadcastsDropped map[string]uint64
	// BroadcastTime is how long those of both that are done took, from being taken until the last connection had been
	// handed it.
	BroadcastTime time.Duration

	Resume ResumeStats
}

// Stats returns the hub's numbers. Any goroutine.
func (h *Hub) Stats() Stats {
	s := Stats{
		Connections:     h.Connections(),
		Users:           h.Users(),
		Received:        h.stats.received.Load(),
		Offline:         h.stats.offline.Load(),
		Unnamed:         h.stats.unnamed.Load(),
		Commands:        h.stats.commands.Load(),
		CommandsInvalid: h.stats.commandsInvalid.Load(),
		GroupChanges: map[string]uint64{
			"joined": h.stats.groupsJoined.Load(), "left": h.stats.groupsLeft.Load(), "refused": h.stats.groupsRefused.Load(),
		},

		Broadcasts:         h.stats.broadcasts.Load(),
		GroupNotifications: h.stats.toGroups.Load(),
		GroupsOffline:      h.stats.groupsOffline.Load(),
		BroadcastsWaiting:  h.BroadcastsWaiting(),
		BroadcastBytes:     h.broadcasts.bytes(),
		BroadcastsDropped:  make(map[string]uint64, dropReasons),
		BroadcastTime:      time.Duration(h.stats.broadcastTime.Load()),

		Invalid: make(map[string]uint64, invalidCount-1),
		Resume:  h.resumeStats(),
	}
	for why := range dropReasons {
		s.BroadcastsDropped[why.String()] = h.stats.broadcastsDropped[why].Load()
	}
	for i := InvalidUTF8; i < invalidCount; i++ {
		s.Invalid[i.String()] = h.stats.invalid[i].Load()
	}
	return s
}
