package rules

// The expected answers to requests. Where the RFC says "an appropriate HTTP error code", any
// that a server may choose passes.
var (
	accepted = Want{Status: []int{101}}
	refused  = Want{Status: []int{400, 403, 404, 405, 426, 501, 505, NoAnswer}}
	// badHTTP is what two recipients may read differently.
	badHTTP = Want{Status: []int{400, 501, 505, NoAnswer}}
	notHTTP = Want{Status: []int{400, 405, 501, 505, NoAnswer}}
	version = Want{Status: []int{400, 426}, Field: "sec-websocket-version: 13"}
)

func handshakeCases() []Case {
	all := append(upgradeCases(), httpCases()...)
	all = append(all, strangerCases()...)
	for i := range all {
		all[i].Group = Handshake
	}
	return all
}

func upgradeCases() []Case {
	return []Case{
		{Section: "4.2.2", Name: "proper request", Send: []string{request()}, Everywhere: true, Want: accepted},
		{
			Section: "4.2.1", Name: "names in lower case", Want: accepted,
			Send: []string{request("-Sec-WebSocket-Key", "-Upgrade", "+sec-websocket-key: {key}", "+upgrade: websocket")},
		},
		{Section: "4.2.1", Name: "any case, lists", Send: []string{request("Connection: keep-alive, upgrade", "Upgrade: WebSocket")}, Want: accepted},
		{Section: "4.2.1", Name: "unknown fields", Send: []string{request("X-Nobody: knows")}, Want: accepted},
		{
			Section: "4.2.2", Name: "unknown sub-protocol", Send: []string{request("Sec-WebSocket-Protocol: nobody.knows")},
			Want: accepted, Offers: []string{"nobody.knows"},
		},
		{
			Section: "4.2.2", Name: "two sub-protocols", Send: []string{request("Sec-WebSocket-Protocol: nobody.knows, roost.v1")},
			Want: accepted, Offers: []string{"nobody.knows", "roost.v1"},
		},
		{
			Section: "4.2.2", Name: "sub-protocols in two fields", Want: accepted, Offers: []string{"nobody.knows", "roost.v1"},
			Send: []string{request("+Sec-WebSocket-Protocol: nobody.knows", "+Sec-WebSocket-Protocol: roost.v1")},
		},
		{Section: "9.1", Name: "unknown extension", Send: []string{request("Sec-WebSocket-Extensions: x-nobody")}, Want: accepted},
		{Section: "4.2.1", Name: "POST", Send: []string{request(">POST {path}?token={token} HTTP/1.1")}, Want: refused},
		{Section: "4.2.1", Name: "HTTP/1.0", Send: []string{request(">GET {path}?token={token} HTTP/1.0")}, Want: refused},
		{Section: "4.2.1", Name: "no Upgrade", Send: []string{request("-Upgrade")}, Want: refused},
		{Section: "4.2.1", Name: "another Upgrade", Send: []string{request("Upgrade: h2c")}, Want: refused},
		{Section: "4.2.1", Name: "no Connection", Send: []string{request("-Connection")}, Want: refused},
		{Section: "4.2.1", Name: "Connection without Upgrade", Send: []string{request("Connection: keep-alive")}, Want: refused},
		{Section: "4.2.1", Name: "no key", Send: []string{request("-Sec-WebSocket-Key")}, Want: refused},
		{Section: "4.2.1", Name: "key of 15 bytes", Send: []string{request("Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0O")}, Want: refused},
		{Section: "4.2.1", Name: "key of 17 bytes", Send: []string{request("Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODxA=")}, Want: refused},
		{Section: "4.2.1", Name: "key that is not base64", Send: []string{request("Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!==")}, Want: refused},
		{Section: "4.2.1", Name: "empty key", Send: []string{request("Sec-WebSocket-Key:")}, Want: refused},
		// Clients must not; that servers have to mind is said nowhere.
		{Section: "11.3.1", Name: "two keys", Send: []string{request("+Sec-WebSocket-Key: {key}")}, Advice: true, Want: refused},
		{Section: "4.2.1", Name: "no version", Send: []string{request("-Sec-WebSocket-Version")}, Want: refused},
		{Section: "11.3.5", Name: "two versions", Send: []string{request("+Sec-WebSocket-Version: 13")}, Advice: true, Want: refused},
		{Section: "4.4", Name: "version 8", Send: []string{request("Sec-WebSocket-Version: 8")}, Want: version},
		{Section: "4.4", Name: "version 99", Send: []string{request("Sec-WebSocket-Version: 99")}, Want: version},
		// The server decides which resources there are.
		{Section: "4.2.2", Name: "another path", Send: []string{request(">GET {path}-not?token={token} HTTP/1.1")}, Advice: true, Want: Want{Status: []int{404}}},
		{Section: "4.2.2", Name: "no token", Send: []string{request(">GET {path} HTTP/1.1")}, Advice: true, Want: Want{Status: []int{401, 403}}},
	}
}
