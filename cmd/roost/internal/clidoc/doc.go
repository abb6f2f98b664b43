// Package clidoc writes what is said about the command line elsewhere than in --help, from the same description: the
// completions for shells and the manual page. Its functions take the model that kong has made of the commands, and
// return text.
//
// The libraries that do this for kong have had no release for three years and more (jotaen/kong-completion,
// willabides/kongplete, alecthomas/mango-kong), and complete by running the program at each key.
package clidoc

import (
	"strings"

	"github.com/alecthomas/kong"
)

// commands are those that people see.
func commands(app *kong.Application) []*kong.Node {
	var all []*kong.Node
	for _, n := range app.Children {
		if n.Type == kong.CommandNode && !n.Hidden {
			all = append(all, n)
		}
	}
	return all
}

// flags are a node's that people see.
func flags(n *kong.Node) []*kong.Flag {
	var all []*kong.Flag
	for _, f := range n.Flags {
		if !f.Hidden {
			all = append(all, f)
		}
	}
	return all
}

// words are a flag's spellings: --json, -f.
func words(f *kong.Flag) []string {
	all := []string{"--" + f.Name}
	if f.Short != 0 {
		all = append(all, "-"+string(f.Short))
	}
	return all
}

// takesValue reports whether a word has to follow the flag.
func takesValue(f *kong.Flag) bool { return !f.IsBool() && !f.IsCounter() }

// choices are the only values that a flag or an argument may have, none where there are others.
func choices(v *kong.Value) []string {
	if v.Enum == "" {
		return nil
	}
	return strings.Split(v.Enum, ",")
}

// firstSentence is what fits beside a word in a list.
func firstSentence(help string) string {
	sentence, _, _ := strings.Cut(help, ". ")
	return strings.TrimSuffix(sentence, ".")
}
