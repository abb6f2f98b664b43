package netpoll

import (
	"encoding/binary"
	"slices"

	"roost/hub"
	"roost/wsproto"
)

// closeClass is a close code as it is counted. Codes from 3000 on are for backends
// and clients to invent, so those that are not the server's own are counted by
// their thousand: a label must not have two thousand values.
type closeClass uint8

const (
	closeNone closeClass = iota // no close frame was sent: what browsers call 1006
	closeNoCode
	close3000
	close4000
	closeOwn // and what follows: one for each of ownCodes
)

// ownCodes are counted one by one: those of the protocol, and those that mean
// something here.
var ownCodes = [...]wsproto.CloseCode{
	wsproto.CloseNormal, wsproto.CloseGoingAway, wsproto.CloseProtocolError, wsproto.CloseUnsupported,
	wsproto.CloseInvalidPayload, wsproto.ClosePolicy, wsproto.CloseTooBig, wsproto.CloseExtension,
	wsproto.CloseInternal, wsproto.CloseRestart, wsproto.CloseTryAgain, wsproto.CloseBadGateway,
	closeExpired, hub.DefaultDisconnectCode, closeSlow, closeFull, closeReplaced,
}

const closeClasses = int(closeOwn) + len(ownCodes)

// closeClassOf returns how a connection is counted that was ended with last words.
func closeClassOf(lastWords []byte) closeClass {
	const closeFrame = 0x88 // final, opcode 8; see wsproto.AppendClose
	switch {
	case len(lastWords) < 2 || lastWords[0] != closeFrame:
		return closeNone
	case len(lastWords) < 4:
		return closeNoCode
	}
	code := wsproto.CloseCode(binary.BigEndian.Uint16(lastWords[2:]))
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
