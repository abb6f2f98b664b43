// Package systemd holds no code but tests: scripts/roost.service under a real systemd, as the first process of a container
// of systemd-nspawn that is made of this machine's /usr and files of the test. No imitation of a supervisor can show what
// a real one does with Roost's messages.
//
// It needs root, systemd and systemd-nspawn (Debian's package systemd-container). If one of them is missing, or no
// container can be booted, the test is skipped and says why.
package systemd
