package doctor

import "fmt"

// firstPort and lastPort are the range that is suggested. Below are the ports of
// Roost, of Redis and of most other servers, which no outgoing connection should
// take.
const firstPort, lastPort = 10240, 65535

// sourcePorts judges how many connections a proxy on this machine can open to
// Roost: to one address no more than there are local ports, since nothing else
// tells the connections apart. Clients from elsewhere need none.
func sourcePorts(h Host, ask Ask) Finding {
	const name = "source ports"
	if h.portRange.err != nil {
		return unknown(name, h.portRange)
	}
	ports := usablePorts(h)
	if ask.ProxyAddresses == 0 {
		return Finding{Name: name, Source: h.portRange.source(), Found: h.portRange.String(), State: Info,
			Note: fmt.Sprintf("a proxy on this machine stops at %s to each address of Roost: --behind-proxy", thousands(uint64(ports)))}
	}
	return wall(name, h.portRange, h.portRange.String(), ports*ask.ProxyAddresses, ask, portFixes(h, ports, ask)...).
		noting(fmt.Sprintf("%s for each of the addresses that the proxy connects to", thousands(uint64(ports))))
}

// portFixes widens the range, and adds addresses where that is not enough.
func portFixes(h Host, ports int, ask Ask) (fixes []Fix) {
	if wide := portsBetween(firstPort, lastPort, h.reservedPorts); wide > ports {
		fixes, ports = append(fixes, sysctl(h.portRange, firstPort, lastPort)), wide
	}
	if addresses := (ask.Connections + ports - 1) / max(ports, 1); addresses > ask.ProxyAddresses {
		fixes = append(fixes, Fix{Proxy, fmt.Sprintf("%d upstream addresses: 127.0.0.1 to 127.0.0.%d, with WS_HOST=0.0.0.0",
			addresses, addresses)})
	}
	return fixes
}

// usablePorts is how many local ports the kernel chooses from.
func usablePorts(h Host) int {
	return portsBetween(h.portRange.at(0), h.portRange.at(1), h.reservedPorts)
}

// portsBetween counts from first to last without those that are reserved.
func portsBetween(first, last uint64, reserved reading) int {
	n := int(last) - int(first) + 1
	for i := 0; i+1 < len(reserved.numbers); i += 2 {
		from, to := max(first, reserved.at(i)), min(last, reserved.at(i+1))
		if from <= to {
			n -= int(to-from) + 1
		}
	}
	return max(n, 0)
}
