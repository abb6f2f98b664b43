// Package top is the terminal view of a running server: numbers of now, their last minutes, the loops and the limits, asked for
// every few seconds.
//
// The model is the state between two answers, the screen is functions from the model to lines of text, and Run hands both to
// the library that owns the terminal. Print writes one screen for pipes.
package top
