package clidoc

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// Bash is the script for bash: to be sourced, or put where bash-completion looks.
func Bash(app *kong.Application) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Completions of %s for bash.\n_%[1]s() {\n", app.Name)
	b.WriteString("  local word=\"${COMP_WORDS[COMP_CWORD]}\" words=\"\"\n  if [ \"$COMP_CWORD\" -eq 1 ]; then\n")
	fmt.Fprintf(&b, "    words=%q\n  else\n    case \"${COMP_WORDS[1]}\" in\n", strings.Join(append(names(app), flagWords(app.Node)...), " "))
	for _, c := range commands(app) {
		fmt.Fprintf(&b, "    %s) words=%q ;;\n", c.Name, strings.Join(append(argumentWords(app, c), flagWords(c)...), " "))
	}
	b.WriteString("    esac\n  fi\n")
	b.WriteString("  # shellcheck disable=SC2207 # none of the words has a space\n")
	b.WriteString("  COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n}\n")
	fmt.Fprintf(&b, "complete -o default -F _%s %[1]s\n", app.Name)
	return b.String()
}

// Zsh is the script for zsh: the file _roost in a folder of $fpath.
func Zsh(app *kong.Application) string {
	var b strings.Builder
	fmt.Fprintf(&b, "#compdef %s\n# Completions of %[1]s for zsh.\nlocal -a commands\ncommands=(\n", app.Name)
	for _, c := range commands(app) {
		fmt.Fprintf(&b, "  %s\n", quoted(c.Name+":"+firstSentence(c.Help)))
	}
	b.WriteString(")\nif (( CURRENT == 2 )); then\n  _describe command commands\n  return\nfi\n")
	b.WriteString("local command=$words[2]\nshift words\n(( CURRENT-- ))\ncase $command in\n")
	for _, c := range commands(app) {
		fmt.Fprintf(&b, "%s)\n  _arguments", c.Name)
		for _, f := range flags(c) {
			for _, word := range words(f) {
				fmt.Fprintf(&b, " \\\n    %s", quoted(word+"["+bracketless(firstSentence(f.Help))+"]"+zshValue(f)))
			}
		}
		if those := argumentWords(app, c); len(those) > 0 {
			fmt.Fprintf(&b, " \\\n    %s", quoted("1:"+c.Positional[0].Name+":("+strings.Join(those, " ")+")"))
		}
		b.WriteString("\n  ;;\n")
	}
	b.WriteString("esac\n")
	return b.String()
}

// Fish is the script for fish: a file in its folder of completions.
func Fish(app *kong.Application) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Completions of %s for fish.\ncomplete -c %[1]s -f\n", app.Name)
	for _, f := range flags(app.Node) {
		fmt.Fprintf(&b, "complete -c %s -n __fish_use_subcommand%s\n", app.Name, fishFlag(f))
	}
	for _, c := range commands(app) {
		fmt.Fprintf(&b, "complete -c %s -n __fish_use_subcommand -a %s -d %s\n", app.Name, c.Name, quoted(firstSentence(c.Help)))
		seen := quoted("__fish_seen_subcommand_from " + c.Name)
		for _, f := range flags(c) {
			fmt.Fprintf(&b, "complete -c %s -n %s%s\n", app.Name, seen, fishFlag(f))
		}
		if those := argumentWords(app, c); len(those) > 0 {
			fmt.Fprintf(&b, "complete -c %s -n %s -a %s\n", app.Name, seen, quoted(strings.Join(those, " ")))
		}
	}
	return b.String()
}

func fishFlag(f *kong.Flag) string {
	said := " -l " + f.Name
	if f.Short != 0 {
		said += " -s " + string(f.Short)
	}
	if takesValue(f) {
		said += " -x"
		if those := choices(f.Value); len(those) > 0 {
			said += " -a " + quoted(strings.Join(those, " "))
		}
	}
	return said + " -d " + quoted(firstSentence(f.Help))
}

// zshValue is what _arguments needs behind a flag that takes a value.
func zshValue(f *kong.Flag) string {
	if !takesValue(f) {
		return ""
	}
	if those := choices(f.Value); len(those) > 0 {
		return ":" + f.Name + ":(" + strings.Join(those, " ") + ")"
	}
	return ":" + f.Name + ":"
}

// bracketless is text that may stand in the brackets of _arguments.
func bracketless(text string) string { return strings.NewReplacer("[", "(", "]", ")").Replace(text) }

// quoted is text as one word of any of the shells.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

func names(app *kong.Application) []string {
	var all []string
	for _, c := range commands(app) {
		all = append(all, c.Name)
	}
	return all
}

func flagWords(n *kong.Node) []string {
	all := []string{"--help"}
	for _, f := range flags(n) {
		if f.Name != "help" {
			all = append(all, words(f)...)
		}
	}
	return all
}

// argumentWords are what a command's first argument may be, where that is a choice.
func argumentWords(app *kong.Application, c *kong.Node) []string {
	if c.Name == "help" {
		return names(app)
	}
	if len(c.Positional) == 0 {
		return nil
	}
	return choices(c.Positional[0])
}
