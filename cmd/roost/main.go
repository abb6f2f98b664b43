// Command roost is a WebSocket notification server: clients connect with
// GET /ws?token=JWT, backends PUBLISH user_noti:<user> on Redis, and roost
// delivers to every open connection of that user; user_noti_all is for everyone,
// group_noti:<group> for a group. PUBLISH user_ctl:<user> closes a user's
// connections, or changes their groups.
//
// This package reads the command line; each subcommand is a file. The service is internal/app.
package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"roost/cmd/roost/internal/printable"
	"roost/cmd/roost/internal/version"
)

// commandLine is what kong parses. Settings come from the environment (see
// `roost config`); flags are for what a person says to one command.
type commandLine struct {
	Version kong.VersionFlag `short:"v" help:"Print the version."`

	Serve      serveCmd      `cmd:"" default:"1" help:"Run the server (the default). Settings come from the environment, see 'roost config'."`
	Demo       demoCmd       `cmd:"" help:"Run the server with an embedded Redis and a listening user, to try it without anything else."`
	Token      tokenCmd      `cmd:"" help:"Print a token that a client can connect with, signed with JWT_SECRET_KEY."`
	Publish    publishCmd    `cmd:"" help:"Publish a notification for a user, as a backend does."`
	Broadcast  broadcastCmd  `cmd:"" help:"Publish a notification for everyone who is connected, or for a group."`
	Disconnect disconnectCmd `cmd:"" help:"Close all connections of a user, on every server."`
	Groups     groupsCmd     `cmd:"" help:"Have the open connections of a user join groups and leave others, on every server."`
	Online     onlineCmd     `cmd:"" help:"Say whether users are online, on any server that writes it (REDIS_PRESENCE). Ends with 0 if all are, 1 if one is not, 2 if that can't be said."`
	Why        whyCmd        `cmd:"" help:"Say why a user gets nothing: their connections, and what becomes of their notifications from now on."`
	Top        topCmd        `cmd:"" help:"Show a running server in this terminal: connections, rates, latency, loops, limits."`
	Listen     listenCmd     `cmd:"" help:"Connect as a user and print each notification."`
	Health     healthCmd     `cmd:"" help:"Ask a running server how it is. Ends with 0 if it is healthy, 1 if not: for HEALTHCHECK and exec probes."`
	Config     configCmd     `cmd:"" help:"Print every environment variable, its default, its value and what it does."`
	Upgrade    upgradeCmd    `cmd:"" help:"Replace the running server by the program that is installed now, without closing its port or its connections. Ends with 0 once the new one serves."`
	Doctor     doctorCmd     `cmd:"" help:"Say how many connections this host holds, what stops it there, and the lines that change it."`
	Completion completionCmd `cmd:"" help:"Print the completions for a shell."`
	Man        manCmd        `cmd:"" help:"Print the manual page: roost man | man -l -"`
	Help       helpCmd       `cmd:"" help:"Print the help of a command."`
	VersionCmd versionCmd    `cmd:"" name:"version" help:"Print the version."`
}

func main() {
	caught := catchSignals()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	// From the first signal on, the next one has its usual effect: the end, at once.
	context.AfterFunc(ctx, cancel)
	// Go ends a process whose standard output is a pipe that nobody reads any
	// more. A log reader that died must not take the connections with it.
	signal.Ignore(syscall.SIGPIPE)
	env := &environment{ctx: ctx, signals: caught, stdin: os.Stdin, log: os.Stdout,
		stdout: printable.Writer(os.Stdout), stderr: printable.Writer(os.Stderr), program: os.Args[0]}
	os.Exit(run(env, os.Args[1:]))
}

// run is main without the process: it returns the exit code.
func run(env *environment, args []string) int {
	exit := -1
	parser, err := newParser(env, func(code int) { exit = code })
	if err != nil {
		return complain(env, fmt.Errorf("setting up the command line: %w", err))
	}
	command, err := parser.Parse(args)
	if exit >= 0 { // --help, --version
		return exit
	}
	if err != nil {
		return complain(env, usage(err))
	}
	if command.Selected().Name != "serve" {
		env.signals.ReleaseHangUp()
	}
	err = command.Run(env, parser)
	if exit >= 0 { // help
		return exit
	}
	if err == nil {
		return 0
	}
	if errors.As(err, new(usageError)) {
		err = usageError{fmt.Errorf("%w\nsee roost %s --help", err, command.Selected().Name)}
	}
	return complain(env, err)
}

// newParser reads the commands from the fields of commandLine. exit is called in place of ending the process.
func newParser(env *environment, exit func(code int)) (*kong.Kong, error) {
	return kong.New(new(commandLine),
		kong.Name("roost"),
		kong.Description("WebSocket notifications from Redis to the browser."),
		kong.Writers(env.stdout, env.stderr),
		kong.Exit(exit),
		kong.Vars{"version": "roost " + version.Text()},
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}))
}

// errSaid ends with exit code 1 when everything has been said already.
var errSaid = errors.New("said already")

// usageError is about what stands on the command line, and not about what came of it: it ends with exit code 2.
type usageError struct{ error }

// Unwrap lets errors.Is look inside.
func (e usageError) Unwrap() error { return e.error }

// undecided is why a command whose exit code 1 is an answer has none: it ends with 2.
type undecided struct{ error }

// Unwrap lets errors.Is look inside.
func (e undecided) Unwrap() error { return e.error }

// usageErrorf is fmt.Errorf for a usageError.
func usageErrorf(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// misused is err as a usageError; nil stays nil.
func misused(err error) error {
	if err == nil {
		return nil
	}
	return usageError{err}
}

// usage is what is said of a command line that can't be parsed.
func usage(err error) error {
	help := "roost --help"
	var parse *kong.ParseError
	if errors.As(err, &parse) && parse.Context.Selected() != nil && len(parse.Context.Args) > 0 {
		// The help of serve, the default, does not help somebody who mistyped a command.
		if name := parse.Context.Selected().Name; name == parse.Context.Args[0] {
			help = "roost " + name + " --help"
		}
	}
	return usageError{fmt.Errorf("%w\nsee %s", err, help)}
}

// complain prints an error, a line for each of its lines, and returns the exit
// code: 1, or 2 for a usageError and for one that is undecided.
func complain(env *environment, err error) int {
	if errors.Is(err, errSaid) || nobodyReads(err) {
		return 1
	}
	for line := range strings.Lines(err.Error()) {
		_, _ = fmt.Fprintf(env.stderr, "roost: %s\n", strings.TrimRight(line, "\n"))
	}
	if errors.As(err, new(usageError)) || errors.As(err, new(undecided)) {
		return 2
	}
	return 1
}

// nobodyReads says whether standard output is a pipe whose reader has seen enough, as head has: no fault of anybody's.
func nobodyReads(err error) bool {
	var failed *fs.PathError
	return errors.As(err, &failed) && failed.Path == os.Stdout.Name() && errors.Is(err, syscall.EPIPE)
}
