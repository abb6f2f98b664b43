package main

import (
	"fmt"
	"os/exec"
	"strings"
)

// tryServers delivers one notification through each Redis-compatible server that is here, with the feeds that a single
// one serves.
func tryServers(program string) string {
	var b strings.Builder
	b.WriteString("| Server | Version | `pattern` | `user` |\n|---|---|---|---|\n")
	for _, name := range []string{"redis-server", "valkey-server", "redict-server", "keydb-server"} {
		out, err := exec.Command(name, "--version").Output()
		if err != nil {
			continue
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", name, serverVersion(string(out)), tryServer(program, name, "pattern"), tryServer(program, name, "user"))
	}
	return b.String()
}

// serverVersion is the word behind v= in what --version prints.
func serverVersion(text string) string {
	_, rest, found := strings.Cut(text, "v=")
	if !found {
		return strings.TrimSpace(text)
	}
	version, _, _ := strings.Cut(rest, " ")
	return version
}

// tryServer says yes, or what went wrong.
func tryServer(program, name, feed string) string {
	redis, err := startRedis(name)
	if err != nil {
		return err.Error()
	}
	defer redis.stop()
	server, err := startRoost(program, redis.port, feed)
	if err != nil {
		return err.Error()
	}
	defer server.stop()
	session, err := server.start(client{argv: []string{program, "listen", "--url"}}, "alice")
	if err != nil {
		return err.Error()
	}
	defer session.stop()
	for range 100 { // until the listener is connected
		if err = server.command("publish", "alice", notifications[0]); err != nil {
			continue
		}
		if _, err = session.await(`{"type":"compat"`); err == nil {
			return "yes"
		}
	}
	return err.Error()
}
