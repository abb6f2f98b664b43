package clidoc

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// Man is the manual page roost(1), in the macros of man(7).
func Man(app *kong.Application, version string) string {
	var b strings.Builder
	title := strings.ToUpper(app.Name)
	fmt.Fprintf(&b, ".TH %s 1 \"\" %s %s\n", title, roffArgument(app.Name+" "+version), roffArgument("User Commands"))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", app.Name, roff(strings.TrimSuffix(app.Help, ".")))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.B %s\n[\\fIcommand\\fR] [\\fIargument\\fR ...] [\\fIflag\\fR ...]\n", app.Name)
	b.WriteString(".SH DESCRIPTION\n")
	paragraph(&b, "Clients connect with GET /ws?token=JWT. Backends PUBLISH user_noti:<user> on Redis. Every open connection of that"+
		" user gets the notification. Without a command the server runs. Its settings are environment variables: roost config lists them.")
	b.WriteString(".SH COMMANDS\n")
	for _, c := range commands(app) {
		fmt.Fprintf(&b, ".SS %s\n", roffArgument(strings.TrimSpace(c.Summary())))
		paragraph(&b, c.Help)
		if c.Detail != "" {
			for part := range strings.SplitSeq(c.Detail, "\n\n") {
				b.WriteString(".PP\n")
				paragraph(&b, part)
			}
		}
		for _, p := range c.Positional {
			fmt.Fprintf(&b, ".TP\n%s\n%s\n", roff(p.Summary()), roff(p.Help))
		}
		for _, f := range flags(c) {
			if f.Name == "help" || f.Name == "version" {
				continue
			}
			fmt.Fprintf(&b, ".TP\n\\fB%s\\fR\n%s\n", roff(f.String()), roff(f.Help))
		}
	}
	b.WriteString(".SH EXIT STATUS\n0: it worked. 1: it did not. 2: the command line is wrong; for online also that there is no answer.\n")
	b.WriteString(".SH FILES\n.TP\n/etc/roost/roost.env\nThe variables of the service. Commands read it where ROOST_CONFIG_FILE names no other file and the user may.\n")
	return b.String()
}

func paragraph(b *strings.Builder, text string) { b.WriteString(roff(text) + "\n") }

// roff is text in which nothing is a request, an escape or a hyphen that may break a flag.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}

// roffArgument is text as one argument of a request.
func roffArgument(text string) string { return `"` + strings.ReplaceAll(roff(text), `"`, `\(dq`) + `"` }
