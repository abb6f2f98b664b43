package redisfeed

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"roost/redisfeed/internal/boottime"
	"roost/redisfeed/internal/resp"
	"roost/redisfeed/internal/subs"
	"roost/redisfeed/publish"
)

// node is a link to one node of a cluster, with the sharded channels of the users whose slots it has.
type node struct {
	// Static after construction.

	feed   *Feed
	id     uint16
	addr   string
	in     *batcher
	link   *link
	sender *sender

	startedAt time.Time
	from      *importedNode // the link was handed over; nil: it has to be made

	work sync.WaitGroup // its goroutines

	// The reader's, until the link has ended.

	upSince    time.Time
	endedAt    time.Time
	subscribed bool // it has confirmed the subscription of a user
}

func newNode(ctx context.Context, f *Feed, id uint16, addr string) *node {
	in := f.newBatcher()
	n := &node{feed: f, id: id, addr: addr, in: in, link: newLink(ctx, f.cfg, addr, in), startedAt: time.Now()}
	n.sender = newSender(n.link, id, Sharded)
	n.sender.ping = f.cfg.HeartbeatInterval
	return n
}

// start runs the link. When it ends by itself, the shards are told.
func (n *node) start() {
	n.work.Go(func() {
		err := n.run()
		n.endedAt = time.Now()
		n.link.close()
		n.feed.manager.shards.linkEnded(n)
		switch {
		case errors.Is(err, context.Canceled), errors.Is(err, errStopped), errors.Is(err, errReleased): // the feed ends, and says so itself
		case errors.Is(err, errDemoted):
			n.feed.cfg.Logger.Info("redis shard is left", "addr", n.addr, "why", err)
		case !n.feed.manager.shards.saidDown(n.addr):
			n.feed.cfg.Logger.Warn("redis shard is lost, or can't be reached", "addr", n.addr, "error", err)
		}
	})
}

// dismiss ends the link, and waits until its reader and its sender have ended.
func (n *node) dismiss(why error) {
	n.link.cancel(why)
	n.work.Wait()
}

// run reads until the link ends, which it always does with an error.
func (n *node) run() error {
	defer n.in.flush()
	if err := n.begin(); err != nil {
		return err
	}
	for {
		got, err := n.link.receive()
		if err != nil && !n.refused(err) {
			return err
		}
		switch {
		case err != nil: // it was one user's
		case got.Kind == resp.Pong:
			n.link.proves(string(got.Payload))
			if n.upSince.IsZero() {
				n.up()
			}
		case got.Kind == resp.Message:
			n.feed.message(n.link, got)
		default:
			if err := n.confirmation(got); err != nil {
				return err
			}
		}
	}
}

// begin connects, or goes on with the link that was handed over.
func (n *node) begin() error {
	if n.from == nil {
		n.link.prove(boottime.Now())
		return n.link.connect(ping())
	}
	if err := n.link.takeOver(n.from.importedLink); err != nil {
		return err
	}
	n.work.Go(func() { n.sender.run(n.link.ctx) })
	return nil
}

// up lets the sender begin: the node has answered.
func (n *node) up() {
	n.upSince = time.Now()
	n.link.timer.Stop()
	n.work.Go(func() { n.sender.run(n.link.ctx) })
}

// confirmed notes that the node has subscribed a user. Only then is it well: one that refuses all of them answers PING.
func (n *node) confirmed() {
	if n.subscribed {
		return
	}
	n.subscribed = true
	n.feed.cfg.Logger.Info("redis shard is connected", "addr", n.addr)
	n.feed.manager.shards.saidUp(n.addr)
}

// confirmation takes Redis's answer about a user. An UNSUBSCRIBE that was not sent says that another node has the slot now.
func (n *node) confirmation(r resp.Reply) error {
	user, ok := strings.CutPrefix(string(r.Channel), publish.ChannelPrefix)
	command := subs.Command{User: user, Unsubscribe: r.Kind == resp.SUnsubscribe}
	switch {
	case !ok:
		return fmt.Errorf("%w: %s %q", errUnasked, r.Kind, r.Channel)
	case n.sender.commands.IsNext(command):
		n.sender.answered()
	case command.Unsubscribe:
		n.feed.subs.Dropped(user, n.id, n.droppedSince())
		n.feed.manager.shards.userDropped(user, n.addr)
		return nil
	default:
		return fmt.Errorf("%w: %s %q", errUnasked, r.Kind, r.Channel)
	}
	if command.Unsubscribe {
		n.feed.subs.Ended(user, n.id)
		return nil
	}
	n.confirmed()
	if since := n.feed.subs.Confirmed(user, n.id); since != 0 {
		n.feed.tellUserGap(user, since)
	}
	return nil
}

// droppedSince is since when notifications of a user may be lost whose slot has just left the node: backends may have learned
// of the move before. (Operators tell the node that gets a slot first.)
func (n *node) droppedSince() boottime.Instant {
	return n.link.lostSince().Add(-n.feed.cfg.HeartbeatTimeout)
}

// refused takes an error that answers one command, and reports false for one that ends the link.
func (n *node) refused(err error) bool {
	var answer redis.Error
	if !errors.As(err, &answer) || errors.Is(err, ErrAuth) {
		return false
	}
	command, ok := n.sender.answered()
	switch {
	case !ok:
		return false
	case command.Unsubscribe:
		n.feed.subs.Ended(command.User, n.id)
	default:
		n.feed.subs.Refused(command.User, n.id)
		n.feed.manager.shards.userRefused(command.User)
		n.complain(err)
	}
	return true
}

// complain logs now and then why users are not subscribed, unless another node has the slot.
func (n *node) complain(err error) {
	if redis.HasErrorPrefix(err, "MOVED") {
		return
	}
	leftOut, ok := n.feed.manager.shards.refusals.Allow()
	if !ok {
		return
	}
	n.feed.cfg.Logger.Warn("redis shard does not subscribe to users, who get nothing until it does", "addr", n.addr, "error", err,
		"refusals_since_last_line", leftOut+1)
}
