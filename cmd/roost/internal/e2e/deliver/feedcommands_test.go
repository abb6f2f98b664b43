package deliver

import (
	"maps"
	"strings"
	"testing"

	"roost/cmd/roost/internal/e2e"
	"roost/cmd/roost/internal/roosttest"
)

// The commands that publish do as the feed wants it, and say what they know of who has heard it.
func TestCommandsOfEachFeed(t *testing.T) {
	eachFeed(t, func(t *testing.T, b *feedSide) {
		server := b.start(t, nil)
		alice := server.Connect("alice")
		b.awaitHeard(t, server, 1)
		env := roosttest.ServerEnv(b.redis, maps.Clone(b.env))
		run := func(wantCode int, want string, args ...string) {
			t.Helper()
			command := roosttest.Run(t, roosttest.Command{Args: args, Env: env})
			if code := command.Wait(); code != wantCode || !strings.Contains(command.Log.String()+command.Stderr.String(), want) {
				t.Errorf("%v ended with %d and %q, want %d and %q", args, code, command.Log.String()+command.Stderr.String(), wantCode, want)
			}
		}
		heard := "1 server got it from Redis"
		run(0, heard, "publish", "alice", e2e.Numbered(1))
		alice.WaitMessages(1)
		if b.hearsAll() {
			run(0, heard, "publish", "bob", e2e.Numbered(1))
		} else {
			run(1, "has a connection of this user", "publish", "bob", e2e.Numbered(1))
		}
		if b.feed == "sharded" {
			heard = "does not say how many servers got it"
		}
		run(0, heard, "broadcast", e2e.Numbered(2))
		alice.WaitMessages(2)
		run(0, heard, "disconnect", "alice")
		if code, _ := alice.WaitClose(); code != 4403 {
			t.Errorf("alice was closed with %d", code)
		}
	})
}

// An operator who asks why a user gets nothing is told of what is so with each feed.
func TestWhyOfEachFeed(t *testing.T) {
	eachFeed(t, func(t *testing.T, b *feedSide) {
		server := b.start(t, nil)
		why := func(want string) {
			t.Helper()
			p := roosttest.Run(t, roosttest.Command{Args: []string{"why", "alice", "--url", "http://" + server.HTTP}})
			if code := p.Wait(); code != 0 || !strings.Contains(p.Log.String(), want) {
				t.Errorf("ended with %d and %q, want %q", code, p.Log.String(), want)
			}
		}
		if b.hearsAll() {
			why("Nothing was published for them since they are watched")
		} else {
			why("which hears nothing of what is published for them")
		}
		server.Connect("alice")
		command := "PUBLISH"
		if b.feed == "sharded" {
			command = "SPUBLISH"
		}
		why("It has to be " + command + " user_noti:alice")
	})
}
