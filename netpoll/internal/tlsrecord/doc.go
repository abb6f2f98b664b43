// Package tlsrecord is the record layer of TLS 1.3 (RFC 8446 section 5) for a connection whose handshake
// crypto/tls has done: bytes in and bytes out, no I/O, no goroutines, no clock. It exists
// because an idle tls.Conn holds 7.7 KB, and a Conn holds 96 bytes.
//
// The owner of the connection calls it, in netpoll the holder of the loop's lock: Open for what was read, Seal for what is
// to be written, and Seal again without data while Due says so. Bytes that the kernel did not take are kept as ciphertext
// and never sealed a second time.
//
// The package encrypts with crypto/aes and crypto/cipher, and with golang.org/x/crypto/chacha20poly1305, the package of
// which crypto/tls has a copy. Its own part is the header, the nonce, the inner type, the key schedule after
// the handshake, and what the RFC refuses.
//
// # What a reviewer asks
//
// Can a nonce be used twice with one key? The nonce is the IV with the sequence number (RFC 8446 section 5.3).
// sealRecord is the only function that encrypts; it takes the number and adds one before anything
// else, so no error leaves a number to be used again. setSecret is the only one that sets the number to 0, together
// with a new key. KeyUpdate comes at 2^24 records, far from where 32 bits end. A Conn can't be copied
// (go vet), and SkipSent panics after the first record. FuzzNonces does everything a caller can, in any order, and
// reads the result with a second implementation that knows each number.
//
// Is a cached cipher ever used with another key? The cache compares the secret before each use: TestCacheGoesByKey.
//
// Are key and IV what the RFC says? They are derived again with each cipher object, by an HMAC of crypto/sha256's or sha512's
// hash that makes no garbage: TestDeriver compares it with crypto/hkdf, TestRFC8448 with the RFC.
//
// Is it TLS as others speak it? TestEveryLengthWithCryptoTLS (0 to 16,385 bytes, each suite, as server and as
// client), TestRFC8448 (the RFC's own bytes), TestCloseNotifyWithCryptoTLS, TestAlertWithCryptoTLS,
// TestKeyUpdateWithCryptoTLS.
//
// Is anything handed out that was changed, replayed, reordered or left out on the way? TestEveryTamperedBit,
// TestReplayedReorderedLost, FuzzOpen. Plaintext is handed out by whole records, after their tag was checked.
//
// What does it do with input that is cut anywhere? TestSplitAtEveryByte.
//
// What is refused, and with which alert? TestWhatIsRefused has a line for each fault, TestWhatIsTaken for each oddity
// that the RFC allows.
//
// Can a client make this side work without end? Records without data are bounded (maxIdle), KeyUpdates have
// a credit that data earns (maxCredit), a request for a KeyUpdate is answered once
// however often it came, and a header that announces too much is refused before its record comes: TestWhatIsRefused,
// TestKeyUpdatesAreEarned.
//
// Does a key outlive its use? Ours is renewed before the limit of section 5.5, and the client is asked for a new one at the
// same number: TestKeyIsRenewedBeforeItsLimit, TestOldKeyOfTheClientIsRenewed. Wipe overwrites keys and
// secrets (TestWipe). The collector frees the copies in Go's cipher objects and in crypto/tls, and they are overwritten when
// that memory is used again: Go has no way to do it sooner.
//
// Can a key get into a log? String, Format, LogValue and MarshalText show the suite alone: TestKeysAreHidden. A
// Conn is meant to be held by pointer; fmt can print unexported fields of a value that another struct embeds.
//
// Are there timing differences? Tags are compared by the cipher packages, in constant time. Padding is looked for only
// in records whose tag was right, and Roost sends none.
//
// With GODEBUG=fips140=only Go refuses AES-GCM with nonces of the caller's, so New's ciphers fail and the
// handshake's self-test says so; crypto/tls then serves every connection.
package tlsrecord
