//go:build linux && !client

package main

import (
	"encoding/json"
	"os"
	"runtime"

	"roost/cmd/roost/internal/app"
	"roost/cmd/roost/internal/config"
	"roost/cmd/roost/internal/doctor"
)

// usualAsk is how many connections doctor asks for where nothing says.
const usualAsk = 100_000

type doctorCmd struct {
	Connections wholeNumber `help:"Connections that this host shall hold, such as 100000 or 100k. Without it: WS_MAX_CONNECTIONS where that is set, else 100000." placeholder:"N"`
	BehindProxy wholeNumber `help:"A proxy on this machine connects to Roost, at so many addresses of Roost: each is good for as many connections as there are source ports." placeholder:"N"`
	Domain      []string    `help:"A name that clients use in wss://, such as ws.example.com: is there a certificate for it?" placeholder:"NAME"`
	Published   wholeNumber `help:"Notifications that are published a second, for all users together, at the busiest: are WS_RESUME_BYTES enough for WS_RESUME_WINDOW?" placeholder:"N"`
	Payload     wholeNumber `help:"Bytes of one notification, as it is published. Without it: 300." placeholder:"N"`
	JSON        bool        `name:"json" help:"Print JSON."`
}

// Help is what `roost doctor --help` says below the flags' summary.
func (doctorCmd) Help() string {
	return `Reads the limits of this host and of the environment that it runs in, says which of them stops Roost short of that many
connections, at how many, and the lines that change it. Run it where the service runs: in its container, or as its unit
(systemd-run --property=LimitNOFILE=131072 --pipe roost doctor). Nothing is changed.

It reckons with 6.5 KiB of memory a connection, nearly all of it the kernel's sockets, plus 64 MiB; with a
descriptor for each connection and a quarter more; and with a page of TCP memory for each fourth. docs/benchmarks.md has
what was measured. Below that it says the worst case: the memory that Roost and the kernel take, and the descriptors, when
all that the settings bound is full at once. A certificate that the settings name is read, and so is what is wrong with it.

Where clients can resume (WS_RESUME_WINDOW) it says for how many notifications a second WS_RESUME_BYTES are enough, and with
--published how many are needed.

A container has its own net.* settings: give them to docker run --sysctl. The others are the host's.

Exit code 0: it holds them. 1: it does not. 2: the command line, or a variable that matters, is wrong.`
}

// Run prints the report; not holding the connections is an error that has been said.
func (c *doctorCmd) Run(env *environment) error {
	source, err := env.source()
	if err != nil {
		return undecided{err}
	}
	cfg, err := source.Read()
	if err != nil {
		return undecided{err}
	}
	host := doctor.ReadHost(os.DirFS("/"), runtime.GOMAXPROCS(0))
	report := doctor.Judge(host, c.ask(cfg, source.Set("WS_MAX_CONNECTIONS")))
	if err := c.print(env, report); err != nil {
		return err
	}
	if !report.OK {
		return errSaid
	}
	return nil
}

// ask is what the command line and the configuration want.
func (c *doctorCmd) ask(cfg config.Config, set bool) doctor.Ask {
	ask := doctor.Ask{
		Connections:    int(c.Connections),
		Reserved:       app.ReservedDescriptors(cfg, runtime.GOMAXPROCS(0)),
		MaxConnections: cfg.WSMaxConnections, MaxIsSet: set,
		Memory:        app.MemoryBounds(cfg, runtime.GOMAXPROCS(0)),
		HandshakeRate: cfg.WSHandshakeRate, HandshakeBurst: cfg.WSHandshakeBurst,
		ProxyAddresses: int(c.BehindProxy),
		Certificates:   app.InspectCertificates(cfg, c.Domain),
		OldTLS:         cfg.WSTLS() && cfg.WSTLSMinVersion == "1.2",
		Resume:         doctor.Resume{Window: cfg.WSResumeWindow, Bytes: cfg.WSResumeBytes, Published: int(c.Published), Payload: int(c.Payload)},
	}
	switch {
	case ask.Connections > 0:
	case set:
		ask.Connections = cfg.WSMaxConnections
	default:
		ask.Connections = usualAsk
	}
	return ask
}

func (c *doctorCmd) print(env *environment, report doctor.Report) error {
	if !c.JSON {
		return report.WriteText(env.stdout)
	}
	encoder := json.NewEncoder(env.stdout)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(report)
}
