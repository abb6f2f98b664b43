package child

import (
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"
)

// FreePort is a port of 127.0.0.1 that was free a moment ago. It is below the range from which the kernel gives ports to
// sockets, so that none of these takes it before the child does, or while the child is started again.
func FreePort() (port string, err error) {
	for range portTries {
		port = strconv.Itoa(10000 + rand.IntN(20000))
		if err = tryPort(port); err == nil {
			return port, nil
		}
	}
	return "", err
}

// tryPort listens on a port for a moment. No program may be started meanwhile: it would have a copy of the socket at first, and with it the
// port.
func tryPort(port string) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	l, err := net.Listen("tcp4", "127.0.0.1:"+port)
	if err != nil {
		return err
	}
	return l.Close()
}

// portTries is how many ports are tried until one is free.
const portTries = 50

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
