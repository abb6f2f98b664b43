package netpoll

import (
	"context"
	"fmt"
	"log/slog"
)

// gnetLog lets gnet's own lines go where all others go. Its one warning on the
// way of a message, about an event of a socket that was closed earlier in the
// same round, is no news to us: we closed it.
type gnetLog struct{ logger *slog.Logger }

func (l gnetLog) Debugf(format string, args ...any) { l.debug(format, args) }
func (l gnetLog) Infof(format string, args ...any)  { l.debug(format, args) }
func (l gnetLog) Warnf(format string, args ...any)  { l.debug(format, args) }
func (l gnetLog) Errorf(format string, args ...any) { l.logger.Error(l.text(format, args)) }

// Fatalf does not end the process: whether a lost engine does is the server's
// to decide, and its prober notices.
func (l gnetLog) Fatalf(format string, args ...any) { l.logger.Error(l.text(format, args)) }

func (l gnetLog) debug(format string, args []any) {
	if l.logger.Enabled(context.Background(), slog.LevelDebug) {
		l.logger.Debug(l.text(format, args))
	}
}

func (gnetLog) text(format string, args []any) string {
	return "gnet: " + fmt.Sprintf(format, args...)
}
