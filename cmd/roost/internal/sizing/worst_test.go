package sizing

import "testing"

// defaults are Roost's, for 10,000 connections on two loops.
func defaults() (Bounds, Room) {
	return Bounds{Loops: 2, QueueBytes: 4 << 20, QueuedBytes: 256 << 20, PendingBytes: 32 << 20, BroadcastBytes: 32 << 20, WriteBuffer: 1024},
		Room{Connections: 10_000, Sockets: 12_500, Reserved: 200}
}

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
		{"broadcasts", func(b *Bounds, r *Room) { b.BroadcastBytes = 1 << 20 }, "broadcasts", 1 << 20},
		{"resume", func(b *Bounds, r *Room) { b.ResumeBytes = 64 << 20 }, "what clients can resume", 64 << 20},
		{"webhook", func(b *Bounds, r *Room) { b.WebhookBytes = 1 << 20 }, "events for the webhook", 1 << 20},
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
