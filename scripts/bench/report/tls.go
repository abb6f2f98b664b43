package main

// tlsTargets are those of Roost with TLS, beside Roost without it and behind a proxy that has it.
func (s *summary) tlsTargets() []verdict {
	slope := s.measured("tls-idle-15k", secure, "RssAnon a connection", "B")
	return []verdict{
		atMost("tls-memory", "An idle wss:// connection: at most 450 B of RssAnon", slope, 450),
		atMost("tls-memory-stretch", "The stretch: at most 400 B", slope, 400),
		atMost("tls-memory-talk", "and 450 B once each has sent and received 1 KB",
			s.measured("tls-talk", secure, "RssAnon a connection", "B"), 450),
		atMost("tls-churn", "After 50,000 connects over TLS RssAnon is back within 10%",
			s.measured("tls-churn", secure, "RssAnon, after to before", "times what it was"), 1.1),
		atMost("tls-handshake-haproxy", "A full TLS handshake costs no more CPU than with HAProxy in front",
			s.against("tls-connect", cpuHandshake, secure, "haproxy"), 1),
		atMost("tls-handshake-nginx", "nor with nginx", s.against("tls-connect", cpuHandshake, secure, "nginx"), 1),
		atMost("tls-notification", "A notification at 10,000 a second costs at most 1.25 times what it does without TLS",
			s.against("tls-deliver-10k", cpuNotification, secure, ours), 1.25),
		atMost("tls-notification-haproxy", "and 0.6 times what it does with HAProxy in front",
			s.against("tls-deliver-10k", cpuNotification, secure, "haproxy"), 0.6),
		atMost("tls-storm", "While 5,000 connect over TLS at once the p99 of deliveries to others stays under 50 ms",
			s.measured("tls-storm", secure, p99, "ms"), 50),
		atMost("tls-scale", "100,000 wss:// connections to six processes: at most half of the memory, the kernel's too, that they take with HAProxy in front",
			s.against("tls-scale", "RssAnon and kernel memory in all", secure, "haproxy"), 0.5),
		atMost("tls-scale-lost", "and nothing lost", s.measured("tls-scale", secure, "missing", "notifications lost"), 0),
	}
}
