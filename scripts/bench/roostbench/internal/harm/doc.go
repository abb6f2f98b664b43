// Package harm does what clients should not, in bounded numbers and for a bounded
// time, while healthy connections look on: they ping, and what matters is how long
// they wait for their pongs, and that they stay.
//
// A client that does harm has to be closed, refused or held back, and not left
// hanging.
package harm
