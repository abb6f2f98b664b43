// Package logging is the log of roost: slog records, formatted where they are made and written by one goroutine, so that
// whoever reads standard output, or does not, never holds up an event loop.
//
// Any goroutine may log. A line costs its caller the formatting and a copy under a mutex that is never held during a
// write; when the buffer is full because nobody reads, lines are left out and counted, and the next line that can be
// written says how many. It does not sample, rotate or ship logs.
package logging
