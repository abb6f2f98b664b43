// Package controller has several processes, the workers, hold connections together, because one process can have 20,000 open
// files at most. Each worker is a roostbench of its own that reads commands, one a line, on its standard input, and answers
// each with a line of JSON on its standard output.
package controller
