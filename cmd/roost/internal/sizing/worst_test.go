package sizing

import "testing"

// defaults are Roost's, for 10,000 connections on two loops.
func defaults() (Bounds, Room) {
	return Bounds{Loops: 2, QueueBytes: 4 << 20, QueuedBytes: 256 << 20, NotificationBytes: 64 << 10, PendingBytes: 32 << 20, HandshakeBurst: 20_000,
			BroadcastBytes: 32 << 20, WriteBuffer: 1024, RedisConns: 100},
		Room{Connections: 10_000, Sockets: 12_500, Reserved: 200}
}

// beyond is the part for what each client's queue keeps, however full all are.
const beyond = "one notification more for each client"

func (w Worst) part(name string) uint64 {
	for _, p := range w.Parts {
		if p.Name == name {
			return p.Bytes
		}
	}
	return 0
}

func TestWorstCase(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*Bounds, *Room)
		part   string
		want   uint64
	}{
		{"as it is", func(*Bounds, *Room) {}, "waiting for slow clients", 256 << 20},
		{"no limit for all queues", func(b *Bounds, r *Room) { b.QueuedBytes = 0 }, "waiting for slow clients", 10_000 * 4 << 20},
		{"each queue is small", func(b *Bounds, r *Room) { b.QueueBytes = 4096 }, "waiting for slow clients", 10_000 * 4096},
		{"no limit for pending handshakes", func(b *Bounds, r *Room) { b.PendingBytes = 0 }, "pending handshakes", 12_500 * PerPending},
		{"few sockets", func(b *Bounds, r *Room) { r.Sockets = 100 }, "pending handshakes", 100 * PerPending},
		{"few bytes for many loops", func(b *Bounds, r *Room) { b.PendingBytes, b.Loops = 1<<20, 64 }, "pending handshakes", 64 * leastShare},
		{"records are bounded by themselves", func(*Bounds, *Room) {}, "unfinished records and messages", 32 << 20},
		{"no limit for records", func(b *Bounds, r *Room) { b.PendingBytes = 0 }, "unfinished records and messages", 12_500 * perUnfinished},
		{"new tokens are bounded by themselves", func(*Bounds, *Room) {}, "new tokens that are checked", 32 << 20},
		{"no limit for new tokens", func(b *Bounds, r *Room) { b.PendingBytes = 0 }, "new tokens that are checked", renewals * perRenewal},
		{"new tokens of few", func(b *Bounds, r *Room) { r.Connections = 10 }, "new tokens that are checked", 10 * perRenewal},
		{"each keeps one", func(*Bounds, *Room) {}, beyond, 10_000*(72<<10+512) - 256<<20},
		{"each keeps one, which is small", func(b *Bounds, r *Room) { b.NotificationBytes = 1 << 10 }, beyond, 0},
		{"notifications without a limit", func(b *Bounds, r *Room) { b.NotificationBytes = 0 }, beyond, 0},
		{"no TLS 1.2", func(*Bounds, *Room) {}, "TLS 1.2", 0},
		{"TLS 1.2", func(b *Bounds, r *Room) { b.OldTLS = true }, "TLS 1.2", 12_500 * perHeavy},
		{"nobody is followed", func(*Bounds, *Room) {}, "users, present or subscribed", 0},
		{"presence", func(b *Bounds, r *Room) { b.Followed, b.Gone = true, 5000 }, "users, present or subscribed", 15_000 * perFollowed},
		{"addresses", func(*Bounds, *Room) {}, "addresses", 20_000 * perBurst},
		{"nothing can be published", func(*Bounds, *Room) {}, "requests to /publish", 0},
		{"publishing", func(b *Bounds, r *Room) { b.Publishes = true }, "requests to /publish", 64 << 20},
		{"Redis", func(*Bounds, *Room) {}, "connections to Redis", 100 * perRedisConn},
		{"broadcasts", func(b *Bounds, r *Room) { b.BroadcastBytes = 1 << 20 }, "broadcasts", 1 << 20},
		{"resume", func(b *Bounds, r *Room) { b.ResumeBytes = 64 << 20 }, "what clients can resume", 64 << 20},
		{"webhook", func(b *Bounds, r *Room) { b.WebhookBytes = 1 << 20 }, "events for the webhook", 1 << 20},
		{"who has gone", func(b *Bounds, r *Room) { b.WebhookBytes = 1 << 20 }, "users who have gone, for the webhook", 100_000 * perGone},
		{"who has gone, without a webhook", func(*Bounds, *Room) {}, "users who have gone, for the webhook", 0},
		{"loops", func(b *Bounds, r *Room) { b.Loops = 4 }, "event loops", 4 * perLoop},
		{"socket buffers", func(*Bounds, *Room) {}, "socket buffers", 12_500 * 128 << 10},
		{"large socket buffers", func(b *Bounds, r *Room) { b.WriteBuffer = 1 << 20 }, "socket buffers", 12_500 * (1<<20 + 96<<10)},
		{"the kernel gives less", func(b *Bounds, r *Room) { r.TCPMemory = 1 << 30 }, "socket buffers", 1 << 30},
	}
	for _, tt := range tests {
		b, r := defaults()
		tt.change(&b, &r)
		w := WorstCase(b, r)
		if got := w.part(tt.part); got != tt.want {
			t.Errorf("%s: %s %d, want %d", tt.name, tt.part, got, tt.want)
		}
		var sum uint64
		for _, p := range w.Parts {
			sum += p.Bytes
		}
		if sum != w.Bytes || w.Descriptors != r.Reserved+r.Sockets {
			t.Errorf("%s: %d bytes, want the sum %d; %d descriptors", tt.name, w.Bytes, sum, w.Descriptors)
		}
		if live := w.Live(); live+w.part(garbage) != w.Of(User) || w.part(garbage) == 0 {
			t.Errorf("%s: %d in use and %d of garbage, want the process's own %d", tt.name, live, w.part(garbage), w.Of(User))
		}
	}
}
