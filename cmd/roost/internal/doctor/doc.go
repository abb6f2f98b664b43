// Package doctor says how many connections a host holds, what stops it there, and
// which lines change that.
//
// ReadHost reads the host's files, Judge is a pure function of what they say, and
// the Report writes itself for people. Nothing is changed on the host.
package doctor
