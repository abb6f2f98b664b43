// Package crowd has several processes hold connections together, because one can
// have 20,000 open files at most. Each member is a roostbench of its own that
// obeys single lines on its standard input, and answers each with a line of
// JSON on its standard output.
package crowd
