// Package note is what the measuring tool puts into a notification and reads out
// of it at the other end: whose it is, its number, and when it was published.
// Checker says of each connection whether the numbers came in order and all.
package note
