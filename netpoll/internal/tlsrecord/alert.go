package tlsrecord

import "strconv"

// Alert is the description of a TLS alert (RFC 8446 section 6).
type Alert uint8

// The alerts that this package sends.
const (
	AlertCloseNotify       Alert = 0
	AlertUnexpectedMessage Alert = 10
	AlertBadRecordMAC      Alert = 20
	AlertRecordOverflow    Alert = 22
	AlertIllegalParameter  Alert = 47
	AlertDecodeError       Alert = 50
	AlertDecryptError      Alert = 51
	AlertInternalError     Alert = 80
	AlertUserCanceled      Alert = 90
)

// alertNames has the names of RFC 8446 appendix B.2, which logs and metrics show.
var alertNames = map[Alert]string{
	0: "close_notify", 10: "unexpected_message", 20: "bad_record_mac", 22: "record_overflow",
	40: "handshake_failure", 42: "bad_certificate", 43: "unsupported_certificate", 44: "certificate_revoked",
	45: "certificate_expired", 46: "certificate_unknown", 47: "illegal_parameter", 48: "unknown_ca",
	49: "access_denied", 50: "decode_error", 51: "decrypt_error", 70: "protocol_version",
	71: "insufficient_security", 80: "internal_error", 86: "inappropriate_fallback", 90: "user_canceled",
	109: "missing_extension", 110: "unsupported_extension", 112: "unrecognized_name",
	113: "bad_certificate_status_response", 115: "unknown_psk_identity", 116: "certificate_required",
	120: "no_application_protocol",
}

// String is the alert's name as RFC 8446 writes it, or "alert 200" for a number it
// does not have.
func (a Alert) String() string {
	if name := alertNames[a]; name != "" {
		return name
	}
	return "alert " + strconv.Itoa(int(a))
}

// Error ends a connection: the other side broke the protocol, and gets Alert (Seal it
// with SealAlert), or it sent a fatal alert itself, and Remote is set.
type Error struct {
	Alert  Alert
	Remote bool
	Text   string // what was wrong; empty where the other side sent the alert
}

func (e *Error) Error() string {
	if e.Remote {
		return "tls: the client sent the alert " + e.Alert.String()
	}
	return "tls: " + e.Alert.String() + ": " + e.Text
}

// Violation is an Error for what the other side did wrong.
func Violation(a Alert, text string) *Error { return &Error{Alert: a, Text: text} }

// alert takes a received alert record. A nil answer means that the connection goes on.
func receivedAlert(content []byte) error {
	// RFC 8446 section 5.1: alerts must not be fragmented, and one record has one alert.
	if len(content) != 2 {
		return Violation(AlertDecodeError, "an alert of "+strconv.Itoa(len(content))+" bytes")
	}
	switch a := Alert(content[1]); a {
	case AlertCloseNotify:
		return ErrCloseNotify
	case AlertUserCanceled:
		// Section 6.1: a close_notify follows. Java's clients send it alone and go on.
		return nil
	default:
		// Section 6.2: every other alert is fatal, whatever its level says.
		return &Error{Alert: a, Remote: true}
	}
}
