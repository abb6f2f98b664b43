package webhook

import (
	"context"
	"errors"
	"fmt"
	"time"

	"roost/internal/wirecodec"
)

// Events that wait can go to another process, in place of being sent: the old process calls Freeze and then Export, and the new one
// Import for each section, before Start.

const (
	stateVersion = 2
	// sectionBytes is from which length on a section is sent; a section has the batch under way, too.
	sectionBytes = 256 << 10
	maxEvent     = 64 << 10 // bytes
	maxTried     = 24 * time.Hour
)

// imported is what another process has left to this one.
type imported struct {
	batch  *batch
	events [][]byte
}

// Freeze has no further request begin, and waits for the one under way until ctx ends, when it is given up. Then Run has returned,
// and Export and Close may be called. Nobody may call Push any more.
func (s *Sender) Freeze(ctx context.Context) {
	s.pause.open()
	select {
	case <-s.done:
	case <-ctx.Done():
		s.cutShort()
		<-s.done
	}
}

// Export hands over what waits in a frozen Sender, in sections that are within the bounds of package wirecodec. Each that send takes
// without an error is the other process's. After an error Close counts the rest.
func (s *Sender) Export(send func(section []byte) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.queue.len() > 0 {
		section, events := s.queue.section()
		if err := send(section); err != nil {
			return err
		}
		s.queue.drop(events)
		s.meter.count(FateHandover, events)
	}
	return nil
}

// section writes down the oldest events, and how many they are. They stay in the queue.
func (q *queue) section() (section []byte, events int) {
	section = wirecodec.AppendUint(nil, stateVersion)
	section = wirecodec.AppendBool(section, q.batch != nil)
	if b := q.batch; b != nil {
		section = wirecodec.AppendString(section, b.id)
		section = wirecodec.AppendUint(section, uint64(b.events))
		section = wirecodec.AppendBytes(section, b.body)
		section = wirecodec.AppendUint(section, uint64(b.tried()))
		events = b.events
	}
	for _, event := range q.events[q.first:] {
		if len(section) >= sectionBytes {
			break
		}
		section = wirecodec.AppendBytes(section, event)
		events++
	}
	return section, events
}

// tried is for how long a batch has been tried.
func (b *batch) tried() time.Duration {
	if b.began.IsZero() {
		return 0
	}
	return min(time.Since(b.began), maxTried)
}

// drop takes out so many of the oldest events, after the whole batch.
func (q *queue) drop(events int) {
	if q.batch != nil {
		events -= q.batch.events
		q.done()
	}
	for range events {
		q.bytes -= size(q.pop())
	}
}

// Import takes a section of another process, of which it keeps a copy. The error says what is wrong with it; then nothing of it is
// taken.
func (s *Sender) Import(section []byte) error {
	got, err := readSection(section)
	if err != nil {
		return fmt.Errorf("webhook events of the process before: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hold.isOpen() {
		return errors.New("webhook events of the process before come too late")
	}
	if got.batch != nil {
		s.imported.batch = got.batch
	}
	s.imported.events = append(s.imported.events, got.events...)
	return nil
}

func readSection(section []byte) (got imported, err error) {
	r := wirecodec.NewReader(section)
	if version := r.Uint(1 << 32); r.Err() == nil && version != stateVersion {
		return got, fmt.Errorf("the state has version %d, this release reads %d", version, stateVersion)
	}
	if r.Bool() {
		got.batch = &batch{id: r.String(maxEvent), events: int(r.Uint(maxBatch))}
		got.batch.body = append([]byte(nil), r.Bytes(wirecodec.MaxPiece)...)
		if tried := r.Uint(uint64(maxTried)); tried > 0 {
			got.batch.began = time.Now().Add(-time.Duration(tried))
		}
	}
	for r.Err() == nil && r.Len() > 0 {
		got.events = append(got.events, append([]byte(nil), r.Bytes(maxEvent)...))
	}
	return got, r.Done()
}

// Start lets Run send: first what was imported, then what has been pushed.
func (s *Sender) Start() {
	s.mu.Lock()
	dropped := 0
	if !s.hold.isOpen() {
		dropped = s.queue.putFirst(s.imported.batch, s.imported.events)
		s.imported = imported{}
		s.hold.open()
	}
	s.mu.Unlock()
	s.tellFull(dropped)
}
