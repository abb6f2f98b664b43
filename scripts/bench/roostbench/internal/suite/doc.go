// Package suite runs servers in turn, each fresh for each measurement, and has
// them measured: every step for every server before the next step, and all of it
// again in the next round (A B A B), so that what changes on the machine
// meanwhile hits all of them.
package suite
