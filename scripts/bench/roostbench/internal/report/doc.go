// Package report is what a measurement says: figures in their order, as a table
// for people and as JSON for programs, and the comparison of many reports.
package report
