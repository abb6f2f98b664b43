package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"roost/httpapi"
	"roost/hub"
	"roost/internal/names"
	"roost/redisfeed/publish"
)

// maxPublishes bounds the batches that are on their way to Redis, each on a connection of the pool that the feed's heartbeats
// use too.
const maxPublishes = 8

// checkPublication says why servers would skip what is to be published over HTTP, or that it can reach nobody.
func (s *Service) checkPublication(p httpapi.Publication) error {
	if err := checkAudience(p); err != nil {
		return err
	}
	if p.Notification == "" {
		return hub.CheckControl(command(p))
	}
	if err := hub.Check(p.Notification); err != nil {
		return err
	}
	if err := hub.CheckSize(p.Notification, s.current.Load().cfg.WSMaxNotificationSize); err != nil {
		return fmt.Errorf("%w: raise WS_MAX_NOTIFICATION_SIZE on the servers, or send less", err)
	}
	return nil
}

// checkAudience says that a user or a group has no valid name, or that of a channel, which hardly anybody has.
func checkAudience(p httpapi.Publication) error {
	if p.Everyone {
		return nil
	}
	what, name, rule, longest := "user", p.User, "a user id has", names.MaxUser
	if p.Group != "" {
		what, name, rule, longest = "group", p.Group, "the name of a group has", names.MaxGroup
	}
	if !names.ValidUser(name) { // the rules for groups are the same
		return fmt.Errorf("%s %.300q: %s 1 to %d bytes of UTF-8, without control characters", what, name, rule, longest)
	}
	if _, _, is := publish.ParseChannel(name); is {
		return fmt.Errorf("%q is the name of a channel of Redis, not of a %s: leave out what comes before the name", name, what)
	}
	return nil
}

// command is what is published for a publication without a notification.
func command(p httpapi.Publication) string {
	switch {
	case p.Disconnect != "":
		return `{"disconnect":` + p.Disconnect + `}`
	case p.Leave == "":
		return `{"join":` + p.Join + `}`
	case p.Join == "":
		return `{"leave":` + p.Leave + `}`
	}
	return `{"join":` + p.Join + `,"leave":` + p.Leave + `}`
}

// publish publishes what was checked.
func (s *Service) publish(ctx context.Context, all []httpapi.Publication, key *httpapi.Idempotency) (done httpapi.Published, err error) {
	select {
	case s.publishes <- struct{}{}:
		defer func() { <-s.publishes }()
	case <-ctx.Done():
		return done, &httpapi.PublishError{Err: errors.New("earlier requests are still being published")}
	}
	batch := make([]publish.Message, len(all))
	for i, p := range all {
		batch[i] = message(p)
	}
	if key == nil {
		done.Receivers, err = s.feed.PublishBatch(ctx, batch)
	} else {
		var once publish.Idempotent
		once, err = s.feed.PublishIdempotent(ctx, publish.Key{Name: key.Key, Content: key.Content, Keep: s.idempotencyTTL()}, batch)
		done.Receivers, done.Before = once.Receivers, once.Before
	}
	if errors.Is(err, publish.ErrKeyUsed) {
		return done, fmt.Errorf("%w: %w", httpapi.ErrKeyUsed, err)
	}
	if far := new(publish.BatchError); errors.As(err, &far) {
		return done, &httpapi.PublishError{Published: far.Published, Uncertain: far.Uncertain, Err: err}
	}
	return done, err
}

// idempotencyTTL is for how long requests over HTTP are remembered; 0: they are not.
func (s *Service) idempotencyTTL() time.Duration { return s.current.Load().cfg.HTTPIdempotencyTTL }

func message(p httpapi.Publication) publish.Message {
	switch {
	case p.Notification == "":
		return publish.Message{Kind: publish.Command, Name: p.User, Payload: command(p)}
	case p.Everyone:
		return publish.Message{Kind: publish.ForEveryone, Payload: p.Notification}
	case p.Group != "":
		return publish.Message{Kind: publish.ForGroup, Name: p.Group, Payload: p.Notification}
	}
	return publish.Message{Kind: publish.ForUser, Name: p.User, Payload: p.Notification}
}
