// Package systemd holds no code but tests: scripts/roost.service under a real systemd, as the first process of a container
// of systemd-nspawn that is made of this machine's /usr and files of the test. What a supervisor makes of what Roost tells
// it no imitation of one can say.
//
// It needs root, systemd and systemd-nspawn (Debian's package systemd-container). Where there is not all of that, or no
// container can be booted, the test is skipped and says why.
package systemd
