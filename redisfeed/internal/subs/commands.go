package subs

import "sync"

const (
	// Batch bounds the users of one write.
	Batch = 512
	// window bounds the commands that Redis has not answered: it must not be made to keep more for us than it lets a
	// subscriber have.
	window = 8 * Batch
)

// Command is about one user's channel: SUBSCRIBE or UNSUBSCRIBE.
type Command struct {
	User        string
	Unsubscribe bool
}

// Commands is the commands of one link: those to be sent, and those that Redis has to answer, in the order in which they
// were sent. Any goroutine.
type Commands struct {
	mu      sync.Mutex
	waiting []Command // guarded by mu: to be sent
	sent    []Command // guarded by mu: to be answered, in this order
}

// Add puts commands into the queue.
func (c *Commands) Add(commands ...Command) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting = append(c.waiting, commands...)
}

// Take returns the next commands of one kind, Batch at most, none while the window is full. They count as sent from now
// on: the answers may be quick.
func (c *Commands) Take() []Command {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for n < min(Batch, len(c.waiting), window-len(c.sent)) && c.waiting[n].Unsubscribe == c.waiting[0].Unsubscribe {
		n++
	}
	batch := c.waiting[:n:n]
	c.sent = append(c.sent, batch...)
	if c.waiting = c.waiting[n:]; len(c.waiting) == 0 {
		c.waiting = nil
	}
	return batch
}

// Answered takes the oldest command without an answer, and is false if there is none. more says that commands are waiting
// and there is room for a batch again.
func (c *Commands) Answered() (command Command, more, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.sent) == 0 {
		return command, false, false
	}
	command = c.sent[0]
	if c.sent = c.sent[1:]; len(c.sent) == 0 {
		c.sent = nil
	}
	return command, len(c.waiting) > 0 && len(c.sent)%Batch == 0, true
}

// IsNext reports whether an answer can be the one to command.
func (c *Commands) IsNext(command Command) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.sent) > 0 && c.sent[0] == command
}
