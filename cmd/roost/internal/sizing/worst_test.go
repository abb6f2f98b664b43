package sizing

import "testing"

// settings are the defaults, for 10,000 connections on two loops.
func settings() Settings {
	return Settings{
		Connections: 10_000, Sockets: 12_500, Reserved: 200, Loops: 2,
		QueueBytes: 4 << 20, QueuedBytes: 256 << 20, PendingBytes: 32 << 20, BroadcastBytes: 32 << 20, WriteBuffer: 1024,
	}
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
		change func(*Settings)
		part   string
		want   uint64
	}{
		{"as it is", func(*Settings) {}, "waiting for slow clients", 256 << 20},
		{"no limit for all queues", func(s *Settings) { s.QueuedBytes = 0 }, "waiting for slow clients", 10_000 * 4 << 20},
		{"each queue is small", func(s *Settings) { s.QueueBytes = 4096 }, "waiting for slow clients", 10_000 * 4096},
		{"no limit for pending handshakes", func(s *Settings) { s.PendingBytes = 0 }, "pending handshakes", 12_500 * PerPending},
		{"few sockets", func(s *Settings) { s.Sockets = 100 }, "pending handshakes", 100 * PerPending},
		{"broadcasts", func(s *Settings) { s.BroadcastBytes = 1 << 20 }, "broadcasts", 1 << 20},
		{"loops", func(s *Settings) { s.Loops = 4 }, "event loops", 4 * perLoop},
		{"socket buffers", func(*Settings) {}, "socket buffers", 12_500 * 128 << 10},
		{"large socket buffers", func(s *Settings) { s.WriteBuffer = 1 << 20 }, "socket buffers", 12_500 * (1<<20 + 96<<10)},
		{"the kernel gives less", func(s *Settings) { s.TCPMemory = 1 << 30 }, "socket buffers", 1 << 30},
	}
	for _, tt := range tests {
		s := settings()
		tt.change(&s)
		w := WorstCase(s)
		if got := w.part(tt.part); got != tt.want {
			t.Errorf("%s: %s %d, want %d", tt.name, tt.part, got, tt.want)
		}
		var sum uint64
		for _, p := range w.Parts {
			sum += p.Bytes
		}
		if sum != w.Bytes || w.Descriptors != s.Reserved+s.Sockets {
			t.Errorf("%s: %d bytes, want the sum %d; %d descriptors", tt.name, w.Bytes, sum, w.Descriptors)
		}
	}
}
