package app

import (
	"context"
	"log/slog"
	"time"

	"roost/internal/pause"
	"roost/netpoll"
)

// feedLimit is how long the feed may take to end.
const feedLimit = 8 * time.Second

// cause is why the service stops. It decides how.
type cause uint8

const (
	askedTo    cause = iota // by a signal: load balancers get time to notice, and clients are spread over time
	replaced                // a new process has the ports
	handedOver              // a new process has the ports and the connections
	broken                  // it can't do its work
)

// String is the cause as the log and alerts have it.
func (c cause) String() string {
	switch c {
	case replaced:
		return "replaced by a new process"
	case handedOver:
		return "handed over to a new process"
	case broken:
		return "it can't go on"
	}
	return "asked to stop"
}

// closeMessage is the close message for clients when the service stops for this cause.
func (c cause) closeMessage() netpoll.CloseMessage {
	if c == askedTo {
		return netpoll.GoingAway()
	}
	return netpoll.Restarting()
}

// broadcastLimit is how long the last broadcasts may take to be delivered after the feed has ended.
const broadcastLimit = time.Second

// quickLimit is how long a service that can't do its work may take to stop.
const quickLimit = 25 * time.Second

// stopInTime is stop within WS_SHUTDOWN_TIMEOUT: a loop that hangs must not keep the process from ending.
func (s *Service) stopInTime(why cause) error {
	limit := s.current.Load().cfg.WSShutdownTimeout
	if why == broken {
		limit = min(limit, quickLimit)
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	stopped := make(chan error, 1)
	go func() { stopped <- s.stop(ctx, why) }()
	select {
	case err := <-stopped:
		return err
	case <-time.After(limit + time.Second):
		s.log.Error("stopping takes too long; the rest is cut", "limit", limit.String())
		return nil
	}
}

// stop ends the parts in the order in which notifications pass through them: the feed, the broadcasts, the connections (each
// with a close frame behind its queued notifications), then presence, the webhook and the admin server. The error is that of a part that
// failed while clients were still served. Clients are told to reconnect then.
func (s *Service) stop(ctx context.Context, why cause) error {
	progressCtx, done := context.WithCancel(ctx)
	if why != handedOver { // then those that the hub still counts are the new process's
		go tellProgress(progressCtx, s.log, s.hub.Connections)
	}
	if why == replaced || why == handedOver {
		s.http.Release() // requests under way are not told that the service drains: the new process is healthy
	} else {
		s.draining.Store(true)
	}
	var bye netpoll.CloseMessage
	var failure error
	if why == handedOver {
		bye, failure = s.endHandedOver(ctx)
	} else {
		bye, failure = s.endConnections(ctx, why)
		s.awaitBroadcasts(ctx)
	}
	s.endFeed()
	s.endBroadcasts(ctx)
	if err := s.ws.Shutdown(ctx, bye); err != nil {
		s.log.Error("closing the connections", "error", err)
	}
	done()
	s.stopPresence() // after the last connection, so that no user is written as online after it
	s.endWebhook(ctx)
	s.stopHTTP()
	s.parts.Wait()
	left := s.ws.Stats()
	s.log.Info("delivered", "sent", left.Sent, "failed", left.FailedTotal(), "handed_over", left.HandedOverNotifications, "accepted", left.Accepted)
	return failure
}

// endHandedOver gives the new process what could not go along with the connections: handshakes under way, each as soon as it can go,
// and events that wait for the webhook. It returns the close message for everything else. The error is that of the new process, if
// that ends meanwhile.
func (s *Service) endHandedOver(ctx context.Context) (bye netpoll.CloseMessage, failure error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.WSHandshakeTimeout)
	defer cancel()
	s.sockets.close()
	h := s.handoff()
	ended, webhook := make(chan error, 1), make(chan struct{})
	go func() { ended <- h.late(ctx) }()
	go func() { defer close(webhook); s.handOverWebhook(ctx, h) }()
	select {
	case err := <-ended:
		if err != nil {
			s.log.Warn("handshakes under way can't be handed over: they are refused", "error", err)
		}
	case failure = <-s.failed:
		cancel()
		<-ended
	}
	<-webhook
	h.end()
	return netpoll.Restarting(), failure
}

// endConnections drains, while clients are still served, and returns the close message for those that are left. It ends at once
// when a part of the service fails.
func (s *Service) endConnections(ctx context.Context, why cause) (bye netpoll.CloseMessage, failure error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, 1)
	go func() {
		defer close(failed)
		select {
		case err := <-s.failed:
			failed <- err
			cancel()
		case <-ctx.Done():
		}
	}()

	bye = why.closeMessage()
	if why == askedTo {
		s.waitForBalancers(ctx)
	}
	s.sockets.close()
	if shared := s.sockets.shared(); shared {
		s.ws.StopAccepting(ctx, shared) // otherwise clients that the next process could serve would be refused
	}
	if why == replaced || (why == askedTo && s.current.Load().cfg.WSDrainWindow > 0) {
		bye = netpoll.Restarting()
		s.drainConnections(ctx, bye)
	}
	cancel()
	if failure = <-failed; failure != nil {
		bye = netpoll.Restarting()
	}
	return bye, failure
}

// waitForBalancers goes on serving for WS_DRAIN_DELAY, while /health says draining.
func (s *Service) waitForBalancers(ctx context.Context) {
	delay := s.current.Load().cfg.WSDrainDelay
	if delay == 0 {
		return
	}
	s.log.Info("draining: clients are still served", "for", delay.String())
	pause.For(ctx, delay)
}

// drainConnections closes the port, and then the connections, spread over WS_DRAIN_WINDOW or less. The feed goes on, so that a
// connection misses nothing until it is closed.
func (s *Service) drainConnections(ctx context.Context, bye netpoll.CloseMessage) {
	s.ws.StopAccepting(ctx, false)
	cfg := s.current.Load().cfg
	if cfg.WSDrainWindow > 0 {
		connections := s.hub.Connections()
		over := drainTime(connections, cfg.WSDrainRate, cfg.WSDrainWindow)
		s.log.Info("draining: no new connections, and the open ones are closed", "connections", connections, "over", over.Round(time.Millisecond).String())
		s.ws.Drain(ctx, bye, over)
	}
}

// drainTime is how long closing so many connections at a rate takes, the window at most. Without a rate it is the window.
func drainTime(connections, rate int, window time.Duration) time.Duration {
	if rate == 0 {
		return window
	}
	return max(time.Millisecond, min(window, time.Duration(float64(connections)/float64(rate)*float64(time.Second))))
}

func (s *Service) endFeed() {
	s.stopFeed()
	select {
	case <-s.feedDone:
	case <-time.After(feedLimit):
		s.log.Error("the Redis feed does not end; going on without it")
	}
}

// awaitBroadcasts waits until all broadcasts are delivered, without pauses now, for half of the time at most. The feed goes on,
// so that connected clients miss nothing.
func (s *Service) awaitBroadcasts(ctx context.Context) {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/2)
		defer cancel()
	}
	s.hurry.Store(true)
	for s.hub.BroadcastsWaiting() > 0 && pause.For(ctx, 5*time.Millisecond) {
	}
}

// endBroadcasts delivers the broadcasts that wait. Those for which there is no time are counted and logged.
func (s *Service) endBroadcasts(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, broadcastLimit)
	defer cancel()
	s.hub.EndBroadcasts(ctx)
	s.cutBroadcasts()
}

// tellProgress logs how many connections are left until ctx ends: after a second, and then after twice as long each time, so that
// a long drain makes few lines. roost_connections has the number at any time.
func tellProgress(ctx context.Context, log *slog.Logger, connections func() int) {
	begun, had := time.Now(), connections()
	for next := time.Second; pause.For(ctx, next-time.Since(begun)); next *= 2 {
		left := connections()
		if left == 0 {
			continue // only sockets that linger are left
		}
		attrs := []any{"connections", left, "at_the_beginning", had, "for", time.Since(begun).Round(time.Second).String()}
		if deadline, ok := ctx.Deadline(); ok {
			attrs = append(attrs, "at_most", time.Until(deadline).Round(time.Second).String())
		}
		log.Info("draining", attrs...)
	}
}
