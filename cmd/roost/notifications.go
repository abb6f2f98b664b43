package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"roost/hub"
)

// maxInput bounds what is read from a file or standard input, in bytes.
const maxInput = 64 << 20

// notifications are what one argument of a command says: a notification; @ and the name of a file of them; or -, for
// standard input. In a file stands one JSON value after the other, on a line each or as it comes. All of them are
// checked as servers do it before the first one is published; the error names the one that is wrong.
func notifications(env *environment, argument string, limit int) ([]string, error) {
	if argument != "-" && !strings.HasPrefix(argument, "@") {
		return []string{argument}, misused(checkNotification(argument, limit))
	}
	text, name, err := readInput(env, argument)
	if err != nil {
		return nil, err
	}
	var all []string
	for decoder := json.NewDecoder(bytes.NewReader(text)); ; {
		var one json.RawMessage
		err := decoder.Decode(&one)
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = checkNotification(string(one), limit)
		}
		if err != nil {
			return nil, usageErrorf("%s: notification %d: %w", name, len(all)+1, err)
		}
		all = append(all, string(one))
	}
	if len(all) == 0 {
		return nil, usageErrorf("%s: there is no notification in it", name)
	}
	return all, nil
}

// readInput reads what - or @file names.
func readInput(env *environment, argument string) (text []byte, name string, err error) {
	in, name := env.stdin, "standard input"
	if argument != "-" {
		file, err := os.Open(strings.TrimPrefix(argument, "@"))
		if err != nil {
			return nil, "", usageError{err}
		}
		defer func() { _ = file.Close() }()
		in, name = file, file.Name()
	}
	text, err = io.ReadAll(io.LimitReader(in, maxInput+1))
	switch {
	case err != nil:
		return nil, "", fmt.Errorf("reading %s: %w", name, err)
	case len(text) > maxInput:
		return nil, "", usageErrorf("%s has more than %d MiB: publish it in parts", name, maxInput>>20)
	}
	return text, name, nil
}

// checkNotification says what servers with the same setting would skip.
func checkNotification(notification string, limit int) error {
	if err := hub.Check(notification); err != nil {
		return err
	}
	if err := hub.CheckSize(notification, limit); err != nil {
		return fmt.Errorf("%w: raise WS_MAX_NOTIFICATION_SIZE here and on the servers, or send less", err)
	}
	return nil
}
