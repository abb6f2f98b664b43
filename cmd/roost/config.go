package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"roost/cmd/roost/internal/config"
	"roost/httpapi"
)

type configCmd struct {
	trustFlag
	Check   bool   `help:"Print nothing but what is wrong or suspicious, key files and lists included, as a start would find it. Ends with 1 where a start, or a reload, would fail." xor:"what"`
	Running bool   `help:"Print what a running server has, and where each value is from. Only what differs from the default." xor:"what"`
	URL     string `name:"url" placeholder:"URL" help:"With --running: the admin server to ask, such as http://localhost:8082. Without it: HTTP_HOST and HTTP_PORT of the settings."`
}

// Run prints the configuration, and then what is wrong with it, if anything is:
// the exit code tells scripts.
func (c *configCmd) Run(env *environment) error {
	if c.URL != "" && !c.Running {
		return usageErrorf("--url goes with --running")
	}
	if c.Running {
		return c.running(env)
	}
	source, err := env.source()
	if err != nil {
		return err
	}
	if c.Check {
		return check(env, source)
	}
	cfg, problems := source.Load()
	if problems != nil {
		warn(env, source.Unknown(os.Environ()))
	}
	return errors.Join(source.Write(env.stdout, cfg), tellCertificates(env, cfg), problems)
}

// inspected is a certificate that variables name.
type inspected struct {
	source, found string
	problems      []string
}

// tellCertificates prints what certificates the settings name, and what is wrong with them.
func tellCertificates(env *environment, cfg config.Config) error {
	for _, c := range inspectCertificates(cfg) {
		if _, err := fmt.Fprintf(env.stdout, "\n%s: %s\n", c.source, c.found); err != nil {
			return err
		}
		warn(env, c.problems)
	}
	return nil
}

// check says all that a start would fail for, or warn of.
func check(env *environment, source config.Source) error {
	cfg, err := source.Load()
	warn(env, source.Warnings(cfg, os.Environ()))
	if err = errors.Join(err, checkFiles(cfg)); err != nil {
		return err
	}
	for _, c := range inspectCertificates(cfg) {
		warn(env, c.problems)
	}
	from := "the environment"
	if source.File() != "" {
		from += " and " + source.File()
	}
	_, err = fmt.Fprintf(env.stdout, "the configuration in %s is good\n", from)
	return err
}

// warn prints what is suspicious and no reason to stop.
func warn(env *environment, warnings []string) {
	for _, warning := range warnings {
		_, _ = fmt.Fprintf(env.stderr, "roost: warning: %s\n", warning)
	}
}

// running prints what a server answers to /config.
func (c *configCmd) running(env *environment) error {
	server, err := c.adminServer(env, c.URL)
	if err != nil {
		return err
	}
	cfg, err := env.config()
	if err != nil {
		return err
	}
	body, err := server.at("config").ask(env.ctx, cfg.HTTPToken)
	if err != nil {
		return err
	}
	var answer struct{ Variables []httpapi.Variable }
	if err := json.Unmarshal(body, &answer); err != nil {
		return fmt.Errorf("the answer of %s can't be read: %w", server.url.Host, err)
	}
	return printRunning(env.stdout, answer.Variables)
}

// printRunning prints the variables that somebody has set.
func printRunning(out io.Writer, variables []httpapi.Variable) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "VARIABLE\tVALUE\tFROM")
	rest := 0
	for _, v := range variables {
		if v.From == "default" && !v.NeedsRestart {
			rest++
			continue
		}
		from := v.From
		if v.NeedsRestart {
			from += "; another value waits for a restart"
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", v.Name, shownValue(v.Value), from)
	}
	_, _ = fmt.Fprintf(table, "\nThe other %d have their defaults: roost config lists them.\n", rest)
	return table.Flush()
}

// shownValue is a value on one line.
func shownValue(value string) string {
	if value == "" {
		return "-"
	}
	return strings.Join(strings.Fields(value), " ")
}
