package hub

import (
	"log/slog"
	"strings"
	"time"

	"roost/internal/loglimit"
)

// invalidLog warns about notifications and commands that can't be used or have no room, five lines at once and one a
// second: a broken backend must not flood the log. Any goroutine.
type invalidLog struct {
	logger *slog.Logger
	limit  *loglimit.Limit
}

func newInvalidLog(logger *slog.Logger) *invalidLog {
	return &invalidLog{logger: logger, limit: loglimit.New(time.Second, 5)}
}

// warn never shows the payload itself: it belongs to the user.
func (l *invalidLog) warn(user string, problem Invalid, size int) {
	l.warnFor(slog.String("user_id", user), problem, size)
}

// warnFor is warn for a notification that is not for one user.
func (l *invalidLog) warnFor(whom slog.Attr, problem Invalid, size int) {
	leftOut, ok := l.limit.Allow()
	if !ok {
		return
	}
	expected := `{"type":string,"payload":any}`
	if problem == InvalidTypeReserved {
		expected = `a type that does not begin with "_": those are Roost's own`
	}
	if form, ok := optionForms[problem]; ok {
		expected = form
	}
	l.logger.Warn("notification skipped", "reason", problem.String(), "expected", expected,
		whom, "bytes", size, "similar_lines_left_out", leftOut)
}

// warnDropped is for a broadcast that had no room.
func (l *invalidLog) warnDropped(whom string, why dropReason) {
	leftOut, ok := l.limit.Allow()
	if !ok {
		return
	}
	l.logger.Warn("broadcast dropped: too many wait for their connections", "reason", why.String(), "for", whom,
		"similar_lines_left_out", leftOut)
}

// warnCommand does not show the payload either: it may be a notification that went to the wrong channel.
func (l *invalidLog) warnCommand(message, user string, problem error, size int) {
	leftOut, ok := l.limit.Allow()
	if !ok {
		return
	}
	l.logger.Warn(message, "reason", strings.ReplaceAll(problem.Error(), "\n", "; "), "expected", `{"disconnect":{"code":4403,"reason":"signed out"}}, or {"join":["room:42"],"leave":["lobby"]}`,
		"user_id", user, "bytes", size, "similar_lines_left_out", leftOut)
}

// warnGroups is for groups that connections of a user did not join.
func (l *invalidLog) warnGroups(user string, refused int) {
	leftOut, ok := l.limit.Allow()
	if !ok {
		return
	}
	l.logger.Warn("groups not joined: a connection may be in 200", "user_id", user, "groups", refused, "similar_lines_left_out", leftOut)
}
