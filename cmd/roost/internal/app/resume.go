package app

import (
	"fmt"

	"golang.org/x/sys/unix"

	"roost/cmd/roost/internal/config"
	"roost/hub"
	"roost/redisfeed"
)

// resumeConfig is the hub's part of WS_RESUME_WINDOW. The memory is not Go's: as a part of the heap it would let that much
// garbage pile up before each collection. It becomes real memory as it is written to. It is a memfd, which the process that takes
// over maps too, so that nothing has to be copied; where there is none, that process begins with nothing.
func resumeConfig(cfg config.Config) (hub.Resume, error) {
	if cfg.WSResumeWindow == 0 {
		return hub.Resume{}, nil
	}
	resume := hub.Resume{Window: cfg.WSResumeWindow, Map: mapMemory}
	descriptor, err := newMemory(cfg.WSResumeBytes)
	if err == nil {
		resume.Descriptor = descriptor
		resume.Memory, err = unix.Mmap(descriptor, 0, cfg.WSResumeBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	} else {
		resume.Memory, err = unix.Mmap(-1, 0, cfg.WSResumeBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	}
	if err != nil {
		return hub.Resume{}, fmt.Errorf("memory for WS_RESUME_BYTES=%d: %w", cfg.WSResumeBytes, err)
	}
	return resume, nil
}

// newMemory makes memory of so many bytes that another process can map.
func newMemory(bytes int) (descriptor int, err error) {
	descriptor, err = unix.MemfdCreate("roost-resume", unix.MFD_CLOEXEC)
	if err != nil {
		return 0, fmt.Errorf("memfd_create: %w", err)
	}
	if err := unix.Ftruncate(descriptor, int64(bytes)); err != nil {
		_ = unix.Close(descriptor)
		return 0, fmt.Errorf("ftruncate: %w", err)
	}
	return descriptor, nil
}

// mapMemory is hub.Resume's Map.
func mapMemory(descriptor int) (memory []byte, unmap func(), err error) {
	var stat unix.Stat_t
	if err := unix.Fstat(descriptor, &stat); err != nil {
		_ = unix.Close(descriptor)
		return nil, nil, fmt.Errorf("fstat: %w", err)
	}
	memory, err = unix.Mmap(descriptor, 0, int(stat.Size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		_ = unix.Close(descriptor)
		return nil, nil, fmt.Errorf("mmap: %w", err)
	}
	return memory, func() {
		_ = unix.Munmap(memory)
		_ = unix.Close(descriptor)
	}, nil
}

// hearStream has the feed tell the hub where the stream of notifications goes on, and where it does not.
func (s *Service) hearStream(feed *redisfeed.Config) {
	if s.hub.Resumes() {
		feed.Marker, feed.Lost, feed.UserHeard = s.hub.Marker, s.hub.NewStream, s.hub.UserHeard
	}
}

// hears reports whether this instance is subscribed to a user's notifications.
func (s *Service) hears(user string) bool { return s.feed.Subscribed(user) }
