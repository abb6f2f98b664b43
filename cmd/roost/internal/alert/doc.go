// Package alert posts to a Discord webhook what a person should know at once: service up, service down, and critical
// errors, which its slog handler picks out of the log.
//
// Send and the handler may be called on any goroutine, event loops included: they put a line into a bounded queue and
// return. One goroutine of the Alerter's own talks to Discord, slowly enough for Discord's limits, and whatever goes
// wrong there costs nothing but a warning in the log. The webhook's token is its password: it is in no error, log line
// or message. A nil *Alerter is one without a webhook: all its methods do nothing.
package alert
