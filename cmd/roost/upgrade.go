//go:build linux && !client

package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"roost/cmd/roost/internal/app"
	"roost/cmd/roost/internal/remote"
	"roost/httpapi"
	"roost/internal/pause"
	"roost/internal/plural"
)

type upgradeCmd struct {
	trustFlag
	URL       string        `name:"url" placeholder:"URL" help:"The admin server to ask, such as http://localhost:8082. Without it: HTTP_HOST and HTTP_PORT of the settings."`
	Check     bool          `help:"Only check the program and its configuration, and say whether the connections would be handed over."`
	Timeout   time.Duration `default:"2m" help:"How long to wait for the new process."`
	Agreement bool          `name:"agreement" hidden:"" help:"Print the settings of this program on which both processes of a handover have to agree."`
}

// Help is what `roost upgrade --help` says below the summary.
func (upgradeCmd) Help() string {
	return "The program that is installed now checks its configuration as the server has it. Then the server gets SIGUSR2. " +
		"Ends with 0 once the new process serves, with 1 where the old one goes on, or serves no more, and with 2 where the server is of a release that knows no such command."
}

// errOlder is why a server can't be asked.
var errOlder = errors.New("the server is of a release that `roost upgrade` can't follow: systemctl kill -s USR2 --kill-whom=main roost starts the upgrade, and its log says how it went")

// Run upgrades the server of this machine.
func (c *upgradeCmd) Run(env *environment) error {
	if c.Agreement {
		return tellAgreement(env)
	}
	server, err := c.adminServer(env, c.URL)
	if err != nil {
		return err
	}
	cfg, err := env.config()
	if err != nil {
		return err
	}
	u := upgrading{env: env, server: server.at("upgrade"), token: cfg.HTTPToken}
	before, err := u.ask(env.ctx)
	if err != nil {
		return err
	}
	if err := u.check(before); err != nil {
		return err
	}
	if c.Check {
		return nil
	}
	if err := syscall.Kill(before.Pid, syscall.SIGUSR2); err != nil {
		return fmt.Errorf("sending SIGUSR2 to process %d: %w", before.Pid, err)
	}
	ctx, cancel := context.WithTimeoutCause(env.ctx, c.Timeout, fmt.Errorf("not ready after %s (--timeout): the log says what the new process waits for", c.Timeout))
	defer cancel()
	return u.follow(ctx, before)
}

// upgrading is one upgrade of a server, which is asked how it goes.
type upgrading struct {
	env    *environment
	server adminServer
	token  string
}

// ask asks the server for its state.
func (u upgrading) ask(ctx context.Context) (state httpapi.Upgrade, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	response, err := u.server.get(ctx, u.token)
	if err != nil {
		return state, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return state, fmt.Errorf("reading the answer of %s: %w", u.server.url.Host, err)
	}
	if response.StatusCode == http.StatusNotFound {
		return state, undecided{errOlder}
	}
	if response.StatusCode != http.StatusOK || json.Unmarshal(body, &state) != nil || state.Pid == 0 {
		return state, remote.Answered(u.server.url.Host, response, body)
	}
	return state, nil
}

// check finds out whether an upgrade can come about, and has the program that it would start check its configuration.
func (u upgrading) check(state httpapi.Upgrade) error {
	switch {
	case state.Blocked != "":
		return fmt.Errorf("no upgrade, since the end of the old process would end the new one too (%s): start a new container and stop this one", state.Blocked)
	case state.Busy != "":
		return fmt.Errorf("no upgrade now: %s", state.Busy)
	case state.Program == "":
		return errors.New("no upgrade: the program that the server was started as is not there")
	}
	if ticks, err := app.StartTicks(state.Pid); err != nil || ticks != state.StartTicks {
		return fmt.Errorf("process %d of this machine is not the server that answers at %s: run roost upgrade where the server runs, as root or as its user", state.Pid, u.server.url.Host)
	}
	version, err := u.run(state.Pid, state.Program, "version")
	if err != nil {
		return fmt.Errorf("no upgrade: %s does not work: %w", state.Program, err)
	}
	said, err := u.run(state.Pid, state.Program, "config", "--check")
	if err != nil {
		return fmt.Errorf("no upgrade: %s would not start: %w", state.Program, err)
	}
	if _, err = fmt.Fprintf(u.env.stdout, "%s → %s\n%s\n", state.Version, strings.TrimPrefix(version, "roost "), said); err != nil {
		return err
	}
	return u.foresee(state)
}

// foresee says what will become of the connections, as far as the settings decide it: the error is the refusal of the server. A program or
// a server of a release that can't say its settings is not asked: that shows at the upgrade.
func (u upgrading) foresee(state httpapi.Upgrade) error {
	said, err := u.run(state.Pid, state.Program, "upgrade", "--agreement")
	var program app.Agreement
	if err != nil || json.Unmarshal([]byte(said), &program) != nil || len(state.Agree) == 0 {
		return nil
	}
	drains, err := program.Outlook(state)
	tooMany := program.TooMany(state)
	switch {
	case err != nil:
		return fmt.Errorf("no upgrade: %w. Set it back to what the running one, process %d, has; or set WS_UPGRADE=drain, which closes the connections; or restart the service", err, state.Pid)
	case drains != "":
		_, err = fmt.Fprintf(u.env.stdout, "the connections are closed over WS_DRAIN_WINDOW, and clients come back: %s\n", drains)
	case tooMany > 0:
		_, err = fmt.Fprintf(u.env.stdout, "the new process takes over %d of %d connections, and closes the others: WS_MAX_CONNECTIONS=%d\n",
			program.Most, state.Open, program.Most)
	default:
		_, err = fmt.Fprintln(u.env.stdout, "the new process takes over the connections")
	}
	return err
}

// tellAgreement prints the settings of this program that matter for a handover.
func tellAgreement(env *environment) error {
	source, err := env.source()
	if err != nil {
		return err
	}
	cfg, err := source.Load()
	if err != nil {
		return err
	}
	return json.NewEncoder(env.stdout).Encode(app.NewAgreement(cfg))
}

// run runs the program as the server would: with its environment, directory and user. It returns what the program printed.
func (u upgrading) run(pid int, program string, args ...string) (said string, err error) {
	proc := "/proc/" + strconv.Itoa(pid)
	environ, err := os.ReadFile(proc + "/environ")
	if err != nil {
		return "", fmt.Errorf("the server's environment can't be read (run this as root, or as the server's user): %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(u.env.ctx, 30*time.Second, errors.New("it did not end within 30s, and was killed"))
	defer cancel()
	command := exec.CommandContext(ctx, program, args...)
	command.WaitDelay = 10 * time.Second // a child of a killed script keeps the pipes open; this process may have stood still meanwhile
	for text := range bytes.SplitSeq(bytes.TrimRight(environ, "\x00"), []byte{0}) {
		command.Env = append(command.Env, string(text))
	}
	if command.Dir, err = os.Readlink(proc + "/cwd"); err != nil {
		return "", err
	}
	if info, err := os.Stat(proc); err == nil && os.Geteuid() == 0 {
		if owner, ok := info.Sys().(*syscall.Stat_t); ok && owner.Uid != 0 {
			command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: owner.Uid, Gid: owner.Gid}}
		}
	}
	var out, complaint bytes.Buffer
	command.Stdout, command.Stderr = &out, &complaint
	if err := command.Run(); err != nil {
		said := strings.ReplaceAll("\n"+strings.TrimSpace(cmp.Or(complaint.String(), out.String())), "\nroost: ", "\n") // complain says it again
		return "", fmt.Errorf("%w%s", cmp.Or(context.Cause(ctx), err), strings.TrimRight(said, "\n"))
	}
	return strings.TrimSpace(out.String() + complaint.String()), nil
}

// follow waits until the new process serves, or the server says why it does not.
func (u upgrading) follow(ctx context.Context, before httpapi.Upgrade) error {
	var unanswered time.Time // since when
	for pause.For(ctx, 100*time.Millisecond) {
		now, err := u.ask(ctx)
		switch {
		case err != nil && unanswered.IsZero():
			unanswered = time.Now()
		case err != nil && time.Since(unanswered) > 15*time.Second:
			return fmt.Errorf("the server does not answer any more: %w", err)
		case err != nil:
		case now.Pid != before.Pid:
			return u.succeeded(before, now)
		case now.Attempts > before.Attempts && now.Last != nil:
			return fmt.Errorf("process %d goes on: %s", before.Pid, now.Last.Reason)
		default:
			unanswered = time.Time{}
		}
	}
	return context.Cause(ctx)
}

// succeeded prints how it went.
func (u upgrading) succeeded(before, now httpapi.Upgrade) (err error) {
	if now.Began != "handover" {
		_, err = fmt.Fprintf(u.env.stdout, "process %d serves; %d closes its connections over WS_DRAIN_WINDOW\n", now.Pid, before.Pid)
		return err
	}
	_, err = fmt.Fprintf(u.env.stdout, "process %d serves, with %s of process %d, %d ms after its start; they stood still for %d ms\n",
		now.Pid, plural.Count(now.Connections, "connection"), before.Pid, now.TookMS, now.PausedMS)
	return err
}
