package presence

import "time"

// Event is a user who has become online, or offline: by the first connection over all instances, or the end of the last one. The
// instance that has changed it in Redis gets it, and no other. It is also what has become of a user of an instance that has died, if
// the Writer keeps a list ([Writer.KeepList]); without one there is none for users whose time in Redis ran out.
//
// Each change comes once, while Redis answers. Where an answer is lost, online can come again; it comes again too where Redis had
// forgotten a user who is connected. Changes of one user come in their order; those that two instances have made are put into order
// by At.
type Event struct {
	User   string
	Online bool
	At     time.Time // by Redis's clock, to the microsecond
}
