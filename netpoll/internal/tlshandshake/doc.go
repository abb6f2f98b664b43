// Package tlshandshake does the server's side of TLS handshakes with crypto/tls, bytes in and bytes out, for an event
// loop: no goroutine waits for a client, and nothing here has a socket or a clock.
//
// The loop Feeds a Handshake what it reads. The status says NeedInput, or NeedRun: then a worker calls Run, which
// takes 0.1 to 2 ms of CPU and does not wait. Output is sent to the client after either, after an error too: it holds the
// alert. Done leaves a Result. The loop bounds time (a deadline), number, and memory (Held).
//
// # Two ways
//
// The light way, for TLS 1.3: Feed collects the whole ClientHello, and Run hands it to crypto/tls, which answers, signs and
// writes the server's flight. Then crypto/tls reads, gets an error, and is let go of. The traffic secrets come from
// tls.Config.KeyLogWriter, on a configuration of this handshake alone; the record layer after the handshake is
// tlsrecord's. What is left is the client's Finished: Feed compares it with what RFC 8446 section 4.4.4 says it has to
// be. A client that stalls there holds 0.8 KB, and 27 KB if crypto/tls waited for it.
//
// The parked way, for TLS 1.2, client certificates, and everything where the self-test failed: crypto/tls does the handshake to its end, as a
// coroutine (iter.Pull) on the worker, and stands still where it needs a record that has not come. TLS 1.2 goes on
// with a Heavy, all of crypto/tls without a goroutine; TLS 1.3 with tlsrecord.
//
// # What a reviewer asks
//
// What of the handshake is not crypto/tls's? The end of the ClientHello is looked for (scan), the server's own
// flight is read back to know its transcript (readFlight), and the client's Finished is compared (finish.take). Versions, suites, key exchange,
// certificates, signatures, tickets and all messages are crypto/tls's. Nothing is parsed of a ClientHello but its length.
//
// How is it known that the transcript is right? The server's Finished, made by crypto/tls, is an HMAC of it: readMessages
// compares it with its own before anything is sent.
//
// Is the client's Finished really checked? TestLastFlight has each of its bits wrong once, parts, more, other
// messages, other keys and other record numbers. TestTamperedHello changes each byte of a hello on its way, a
// downgrade's among them, and no handshake ends well.
//
// Can data come before Finished? Early data is refused by crypto/tls, and no ticket allows it; data under any key before
// Finished is refused: TestLastFlight.
//
// Is what comes right behind Finished lost, or read by crypto/tls? It gets whole records, one at a time: TestLeftover,
// TestByteByByte for each way.
//
// Which number does the first record have? As many as session tickets were sent under the same key; they
// are found by opening them: TestVersions with and without tickets, TestClientCertificates, where they come last.
//
// After a HelloRetryRequest? The handshake is done again with both ClientHellos, and has to come to the same
// HelloRetryRequest, or fails; no key and no signature was made before: TestVersions, TestOpenSSL.
//
// Where do the secrets go? Into tlsrecord, and nowhere else; what is kept between is wiped: TestSecretsAreHidden. No
// key log is ever written to a file, and no option is there to do so.
//
// Does a Go release change what this leans on? New does two handshakes in memory, one resumed, with data both ways
// (selfTest). Where they fail Light says why, and every connection is parked and then Heavy.
//
// Do others speak with it? TestOpenSSL (each suite, resumed, KeyUpdates, TLS 1.2, HelloRetryRequest),
// TestOpenSSLFollowsOurKeyUpdates, TestCurl, TestPython.
//
// What does a client get that is no TLS client, or a broken one? TestFirstBytes, TestAlertsOfTheHandshake, FuzzHandshake.
// How much it can make this side hold is bounded: maxHello, maxHelloWire, maxEarly, and Held tells the loop.
//
// Why not crypto/tls's interface for QUIC, which is bytes in and bytes out? A server refuses clients there that
// offer TLS 1.2 beside 1.3, as browsers do, and those without QUIC's transport parameters; what it then sends is part of the transcript. And
// why not an error that crypto/tls takes as temporary? It does so after the handshake only: Heavy uses that, and
// during the handshake every error is final. docs/decisions.md has the figures.
package tlshandshake
