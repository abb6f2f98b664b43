package child

import (
	"errors"
	"net"
	"net/http"
	"time"
)

// FreePort is a port of 127.0.0.1 that was free a moment ago.
func FreePort() (string, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, errors.Join(err, l.Close())
}

// Healthy says whether GET /health is answered with 200.
func Healthy(port string) func() bool {
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	return func() bool {
		answer, err := client.Get("http://127.0.0.1:" + port + "/health")
		if err != nil {
			return false
		}
		_ = answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	}
}

// Listening says whether something does.
func Listening(port string) func() bool {
	return func() bool {
		conn, err := net.DialTimeout("tcp4", "127.0.0.1:"+port, time.Second)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	}
}
