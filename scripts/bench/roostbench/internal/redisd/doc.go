// Package redisd starts redis-servers on free ports of this machine, one alone or a cluster of three masters, and looks
// at what they cost. It ends what it started and nothing else.
package redisd
