// Package webhook posts to an endpoint of the operator's which users have become online and offline, as JSON, signed as the
// Standard Webhooks convention has it (https://www.standardwebhooks.com).
//
// [Sender.Push] may be called on any goroutine: it puts events into a bounded queue and returns. One goroutine, that of
// [Sender.Run], sends them in their order, many in a request and one request at a time, so that the order is the endpoint's too.
// An endpoint that hangs or is gone costs memory up to the bound of the queue; then the oldest events are dropped, and counted.
//
// No client has a say in where requests go, nothing of a response is used but its status, Retry-After and, in a log line, the
// first line of a refusal. Neither the secrets nor more of the address than the host are in an error or a log line of this package.
package webhook
