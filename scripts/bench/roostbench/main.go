// Command roostbench measures a WebSocket notification server from outside: what
// an idle connection, a handshake and a delivered notification cost. It knows
// the wire only, so that any server that takes the same tokens and listens to
// the same Redis channels can be measured and compared.
//
//	roostbench idle     memory a connection, between two sizes
//	roostbench connect  handshakes a second, and their CPU
//	roostbench deliver  latency, CPU and losses of notifications through Redis
//	roostbench burst    bursts to clients that are fast, slow, far, or read nothing
//	roostbench scale    100,000 connections and more, of several processes
//	roostbench abuse    what comes of every broken rule, and of clients that do harm
//	roostbench feeds    what each REDIS_FEED costs as instances and users grow
//	roostbench upgrade  pause, time and memory of replacing the program while clients are connected
//	roostbench sizing   what so many connections need, computed from that
//	roostbench suite    all but abuse, feeds and sizing, for several servers in turn
//
// It loads loopback addresses only, and every run has an end. Each subcommand is
// a file.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

// commandLine is what kong parses.
type commandLine struct {
	Idle    idleCmd    `cmd:"" help:"Memory of idle connections: the slope between two sizes."`
	Connect connectCmd `cmd:"" help:"Handshakes a second, server CPU a handshake, and memory after many rounds of connecting and leaving."`
	Deliver deliverCmd `cmd:"" help:"Publish through Redis: latency, server CPU a notification, losses."`
	Back    backCmd    `cmd:"" help:"Clients leave, are published for, and come back, as far as the server can resume: time until all have what they have missed, server CPU a client."`
	Burst   burstCmd   `cmd:"" help:"Start Redis and a server, and publish bursts for clients that are fast, slow, far, or read nothing: which share arrives, what the slow cost, how late the others' come."`
	Scale   scaleCmd   `cmd:"" help:"Start several processes of a server that share a port, have as many processes connect, hold, and notify each user once."`
	Worker  workerCmd  `cmd:"" hidden:"" help:"One of the processes that connect; scale starts them."`
	Abuse   abuseCmd   `cmd:"" help:"Break every rule of RFC 6455 and do what clients shouldn't, over sockets; say what came of it. Exit status 1 where a rule was not kept."`
	Feeds   feedsCmd   `cmd:"" help:"Start Redis, or a cluster, and instances of a server, and measure each REDIS_FEED as instances and users grow."`
	Upgrade upgradeCmd `cmd:"" help:"Start Redis and a server, connect clients, and replace the server's program under a stream of notifications."`
	Sizing  sizingCmd  `cmd:"" help:"Compute what so many connections need, from what feeds has measured."`
	Suite   suiteCmd   `cmd:"" help:"Start Redis and several servers in turn, measure each, compare medians."`
}

// environment is what commands get from the process around them.
type environment struct {
	ctx    context.Context // ends at the first SIGINT or SIGTERM
	args   []string
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
}

// pause waits, or returns why it was interrupted.
func (e *environment) pause(d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-e.ctx.Done():
		return context.Cause(e.ctx)
	}
}

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	context.AfterFunc(ctx, cancel) // the second signal ends at once
	env := &environment{ctx: ctx, args: os.Args[1:], stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}
	os.Exit(run(env))
}

// run is main without the process: it returns the exit code.
func run(env *environment) int {
	var cli commandLine
	exit := -1
	parser, err := kong.New(&cli,
		kong.Name("roostbench"),
		kong.Description("Measures WebSocket notification servers on this machine."),
		kong.Writers(env.stdout, env.stderr),
		kong.Exit(func(code int) { exit = code }),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}))
	if err != nil {
		return complain(env, fmt.Errorf("setting up the command line: %w", err))
	}
	command, err := parser.Parse(env.args)
	if exit >= 0 { // --help
		return exit
	}
	if err != nil {
		return complain(env, fmt.Errorf("%w (see roostbench --help)", err))
	}
	if err := command.Run(env); err != nil {
		return complain(env, err)
	}
	return 0
}

// complain prints an error, a line for each of its lines, and returns 1.
func complain(env *environment, err error) int {
	for line := range strings.Lines(err.Error()) {
		_, _ = fmt.Fprintf(env.stderr, "roostbench: %s\n", strings.TrimRight(line, "\n"))
	}
	return 1
}
