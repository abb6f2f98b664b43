package app

import (
	"fmt"

	"golang.org/x/sys/unix"

	"roost/cmd/roost/internal/config"
	"roost/hub"
	"roost/redisfeed"
)

// resumeConfig is the hub's part of WS_RESUME_WINDOW. The memory is not Go's: as a part of the heap it would let that much
// garbage pile up before each collection. It becomes real memory as it is written to.
func resumeConfig(cfg config.Config) (hub.Resume, error) {
	if cfg.WSResumeWindow == 0 {
		return hub.Resume{}, nil
	}
	memory, err := unix.Mmap(-1, 0, cfg.WSResumeBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return hub.Resume{}, fmt.Errorf("memory for WS_RESUME_BYTES=%d: %w", cfg.WSResumeBytes, err)
	}
	return hub.Resume{Memory: memory, Window: cfg.WSResumeWindow}, nil
}

// hearStream has the feed tell the hub where the stream of notifications goes on, and where it does not.
func (s *Service) hearStream(feed *redisfeed.Config) {
	if s.hub.Resumes() {
		feed.Marker, feed.Lost, feed.UserHeard = s.hub.Marker, s.hub.NewStream, s.hub.HeardAnew
	}
}

// hears reports whether what is published for a user comes here.
func (s *Service) hears(user string) bool { return s.feed.Subscribed(user) }
