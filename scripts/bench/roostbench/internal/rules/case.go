package rules

// The groups of cases.
const (
	Wire      = "wire"      // frames, on a connection that is upgraded
	Handshake = "handshake" // what is sent for a request, proper or not
)

// Case is one thing that a client does.
type Case struct {
	Group   string
	Section string // of RFC 6455, or of the RFC that is named
	Name    string

	// Send is what the client sends, as pieces with a moment between them. Other
	// splits are tried too. In the handshake {token}, {key}, {host} and {path}
	// stand for good ones.
	Send []string

	Offers     []string // sub-protocols that the request offers
	Everywhere bool     // split it in two at every byte, long as it is
	Advice     bool     // nothing that a server must do
	Want       Want
}

// Want is what may come. After what a case sends comes a ping of our own: a server
// that answers it serves on.
type Want struct {
	Status []int    // of the answer to a handshake, any of these; NoAnswer: the end of the connection. Wire cases have none
	Field  string   // of the answer's head, in lower case: its name, a colon, and what its value has to contain
	Pongs  []string // payloads of all pongs, in order
	Closes []int    // codes of the close frame before the end, any of these; NoFrame: the end alone. Empty: it serves on
}

const (
	// NoAnswer among statuses: the server closes the connection.
	NoAnswer = 0
	// NoFrame among close codes: the server closes the connection without a close
	// frame, which is only a SHOULD (RFC 6455 section 7.1.7).
	NoFrame = 0
)

// Cases are those of a group.
func Cases(group string) []Case {
	if group == Handshake {
		return handshakeCases()
	}
	return wireCases()
}
