package netpoll

import (
	"encoding/binary"
	"slices"

	"roost/hub"
	"roost/wsproto"
)

// Reason says why a connection ended: as a field of the log line, and as a label of the metric.
type Reason uint8

// Why connections end.
const (
	reasonNone         Reason = iota
	ReasonClient              // the client sent a close frame
	ReasonGone                // the client closed or reset TCP without a close frame
	ReasonPongWait            // nothing came from the client for WS_PONG_WAIT
	ReasonWriteWait           // the client took nothing for WS_WRITE_WAIT while data waited
	ReasonProtocol            // the client broke RFC 6455
	ReasonTLS                 // the client broke TLS, or sent a fatal alert
	ReasonInvalid             // the client sent text that is not UTF-8
	ReasonTooBig              // the client sent more than WS_MAX_MESSAGE_SIZE
	ReasonSlow                // it was slow and lost a notification, and WS_SLOW_CONSUMER is close
	ReasonFull                // the same, but more had come at once than may wait
	ReasonTooFast             // the client sent more than WS_MESSAGE_RATE allows
	ReasonUnfinished          // the client began a frame or message, and did not end it for WS_PONG_WAIT
	ReasonReplaced            // the user has opened a newer connection, and may have no more
	ReasonExpired             // the token has expired, and WS_CLOSE_ON_EXPIRY is set
	ReasonShutdown            // the server stops
	ReasonRestart             // the server ends because it can't do its work
	ReasonWriteError          // the socket failed while being written to
	ReasonAge                 // it is older than Config.MaxAge
	ReasonDisconnected        // a backend commanded it
	ReasonPanic               // the server failed while serving this connection
	ReasonHandshake           // no complete request head within WS_HANDSHAKE_TIMEOUT
	ReasonAnswered            // an HTTP answer was sent and that was all: refusals, /health
	reasonCount

	// lastOpenReason ends those that a connection can have which got its 101.
	lastOpenReason = ReasonPanic
)

var reasonNames = [reasonCount]string{
	reasonNone:         "none",
	ReasonClient:       "client_closed",
	ReasonGone:         "client_gone",
	ReasonPongWait:     "pong_timeout",
	ReasonWriteWait:    "write_timeout",
	ReasonProtocol:     "protocol_error",
	ReasonTLS:          "tls_error",
	ReasonInvalid:      "invalid_text",
	ReasonTooBig:       "message_too_big",
	ReasonSlow:         "slow_consumer",
	ReasonFull:         "queue_full",
	ReasonTooFast:      "message_rate",
	ReasonUnfinished:   "message_timeout",
	ReasonReplaced:     "replaced",
	ReasonExpired:      "token_expired",
	ReasonShutdown:     "shutdown",
	ReasonRestart:      "restart",
	ReasonWriteError:   "write_error",
	ReasonAge:          "max_age",
	ReasonDisconnected: "disconnected",
	ReasonPanic:        "panic",
	ReasonHandshake:    "handshake_timeout",
	ReasonAnswered:     "answered",
}

// String returns the reason as logs and metrics name it.
func (r Reason) String() string { return reasonNames[r] }

// failure says why an accepted notification was not sent.
type failure uint8

const (
	failedSlow      failure = iota // the connection's send queue was full: a slow consumer
	failedFull                     // the send queue was full of what came within a second
	failedMemory                   // the send queues of all connections together were full
	failedClosed                   // the connection ended first
	failedExpired                  // it waited for longer than its "ttl"
	failedCollapsed                // a later one with the same "collapse" took its place in the send queue
	failureCount
)

var failureNames = [failureCount]string{
	failedSlow:      "slow_consumer",
	failedFull:      "queue_full",
	failedMemory:    "queues_full",
	failedClosed:    "connection_closed",
	failedExpired:   "expired",
	failedCollapsed: "collapsed",
}

// unanswered says why a socket that was not a connection was closed without an answer.
type unanswered uint8

const (
	unansweredDescriptors unanswered = iota // no descriptors left, by our own count
	unansweredCrowdedOut                    // the same: it was a pending handshake of the address that has most of them
	unansweredBytes                         // too many bytes were kept for pending handshakes, and most of them for its address
	unansweredClosing                       // no descriptors left: it was closing, and its client took the rest too slowly
	unansweredWatch                         // epoll would not watch it
	unansweredTLSToPlain                    // it began a TLS handshake on the plain port
	unansweredNotTLS                        // what came on the TLS port was neither TLS nor HTTP
	unansweredTLSRate                       // TLS handshakes came faster than Rules.HandshakeRate
	unansweredTLSAddress                    // its address had as many connections as it may, before the TLS handshake
	unansweredTLSQueue                      // more TLS handshakes waited for a worker than may
	unansweredCount
)

var unansweredNames = [unansweredCount]string{
	unansweredDescriptors: "descriptors",
	unansweredCrowdedOut:  "crowded_out",
	unansweredBytes:       "pending_bytes",
	unansweredClosing:     "closing",
	unansweredWatch:       "epoll_failed",
	unansweredTLSToPlain:  "tls_to_plain_port",
	unansweredNotTLS:      "not_tls",
	unansweredTLSRate:     "tls_handshake_rate",
	unansweredTLSAddress:  "tls_address_full",
	unansweredTLSQueue:    "tls_handshakes_full",
}

// closeClass is a close code, or a class of them, that is counted by itself. Backends and clients may make up codes
// from 3000 on: they are counted by their thousand, except for the server's own, so that the label does not have two
// thousand values.
type closeClass uint8

const (
	closeNone closeClass = iota // no close frame was sent: what browsers call 1006
	closeNoCode
	close3000
	close4000
	closeOwn // and what follows: one for each of ownCodes
)

// ownCodes are counted one by one: those of the protocol, and those of this server.
var ownCodes = [...]wsproto.CloseCode{
	wsproto.CloseNormal, wsproto.CloseGoingAway, wsproto.CloseProtocolError, wsproto.CloseUnsupported,
	wsproto.CloseInvalidPayload, wsproto.ClosePolicy, wsproto.CloseTooBig, wsproto.CloseExtension,
	wsproto.CloseInternal, wsproto.CloseRestart, wsproto.CloseTryAgain, wsproto.CloseBadGateway,
	closeExpired, hub.DefaultDisconnectCode, closeSlow, closeFull, closeReplaced,
}

const closeClasses = int(closeOwn) + len(ownCodes)

// closeClassOf returns the class of a close message.
func closeClassOf(closeMessage []byte) closeClass {
	const closeFrame = 0x88 // final, opcode 8; see wsproto.AppendClose
	switch {
	case len(closeMessage) < 2 || closeMessage[0] != closeFrame:
		return closeNone
	case len(closeMessage) < 4:
		return closeNoCode
	}
	code := wsproto.CloseCode(binary.BigEndian.Uint16(closeMessage[2:]))
	if i := slices.Index(ownCodes[:], code); i >= 0 {
		return closeOwn + closeClass(i)
	}
	if code < 4000 {
		return close3000
	}
	return close4000
}

// String returns the class as metrics name it.
func (c closeClass) String() string {
	switch c {
	case closeNone:
		return "1006"
	case closeNoCode:
		return "1005"
	case close3000:
		return "3xxx"
	case close4000:
		return "4xxx"
	}
	return ownCodes[c-closeOwn].String()
}
