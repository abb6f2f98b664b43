package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"roost/cmd/roost/internal/clidoc"
	"roost/cmd/roost/internal/version"
)

type helpCmd struct {
	Command string `arg:"" optional:"" help:"The command, such as token. Without it: the list of all."`
}

// Run prints what --help prints.
func (c *helpCmd) Run(_ *environment, parser *kong.Kong) error {
	args := []string{"--help"}
	if c.Command != "" {
		if !slices.ContainsFunc(parser.Model.Children, func(n *kong.Node) bool { return n.Name == c.Command }) {
			return misused(fmt.Errorf("there is no command %q", c.Command))
		}
		args = []string{c.Command, "--help"}
	}
	_, err := parser.Parse(args)
	return err
}

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help is what `roost completion --help` says below the summary.
func (completionCmd) Help() string {
	return strings.TrimSpace(`
bash:  roost completion bash > /etc/bash_completion.d/roost
zsh:   roost completion zsh > "${fpath[1]}/_roost"
fish:  roost completion fish > ~/.config/fish/completions/roost.fish`)
}

// Run prints the script that makes a shell complete commands and flags.
func (c *completionCmd) Run(env *environment, parser *kong.Kong) error {
	write := map[string]func(*kong.Application) string{"bash": clidoc.Bash, "zsh": clidoc.Zsh, "fish": clidoc.Fish}[c.Shell]
	_, err := fmt.Fprint(env.stdout, write(parser.Model))
	return err
}

type manCmd struct{}

// Run prints the manual page.
func (manCmd) Run(env *environment, parser *kong.Kong) error {
	_, err := fmt.Fprint(env.stdout, clidoc.Man(parser.Model, version.Number()))
	return err
}
