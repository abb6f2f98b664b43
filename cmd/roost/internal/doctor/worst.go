package doctor

import (
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"roost/cmd/roost/internal/sizing"
	"roost/netpoll"
)

// worstCase is what the process may have when all that its settings bound is full at once.
func worstCase(h Host, ask Ask) sizing.Worst {
	budget := netpoll.NewBudget(1<<30, ask.Reserved, ask.Connections)
	return sizing.WorstCase(ask.Memory, sizing.Room{
		Connections: budget.Connections, Sockets: budget.Sockets, Reserved: ask.Reserved,
		TCPMemory: h.tcpMem.at(2) * uint64(os.Getpagesize()),
	})
}

// everything judges whether there is memory for the worst case. Too little is only a
// warning: it takes floods of several kinds at the same time.
func everything(h Host, ask Ask) Finding {
	w := worstCase(h, ask)
	f := Finding{Name: "everything full at once", Source: "worst case, below", Found: mebibytes(w.Bytes), State: OK}
	have, ok := leastMemory(h)
	if ok && have < w.Bytes {
		f.State = Info
		return f.noting("more than there is: floods of several kinds at the same time could end the process")
	}
	return f
}

// writeWorst writes the worst case for people.
func writeWorst(to io.Writer, w sizing.Worst, connections int) error {
	fmt.Fprintf(to, "\nThe worst case of %s connections with these settings, everything full at once:\n", thousands(uint64(connections)))
	t := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, p := range w.Parts {
		source := " (" + p.Source + ")"
		if p.Source == "-" { // no setting changes it
			source = ""
		}
		fmt.Fprintf(t, "  %s\t  %s%s\n", mebibytes(p.Bytes), p.Name, source)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("writing the worst case: %w", err)
	}
	_, err := fmt.Fprintf(to, "In all %s, of which the kernel has %s, and %s descriptors. In a control group of that size\n"+
		"Go keeps garbage as small as above. Without one, garbage may be as much as all else of Roost's own.\n"+
		"During an upgrade the new process has what is in use a second time, up to %s. The upgrade is\n"+
		"refused if the control group has less room than that takes at the moment.\n",
		mebibytes(w.Bytes), mebibytes(w.Of(sizing.Sockets)+w.Of(sizing.Buffers)), thousands(uint64(w.Descriptors)), mebibytes(w.Live()))
	return err
}
