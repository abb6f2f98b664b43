// Command floor is not a server to use but what the others are held against: the
// least that a program can do for a notification. One thread, one epoll, plain
// system calls. It believes every token, looks into no JSON, queues nothing, and
// has no limits: what the kernel does not take at once ends the connection.
package main

import (
	"log"
	"runtime"

	"roost/bench/peers/site"
)

func main() {
	cfg, err := site.FromEnvironment()
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		if err := site.ServeMetrics(); err != nil {
			log.Fatal(err)
		}
	}()
	runtime.LockOSThread()
	s, err := newServer(cfg)
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(s.run())
}
