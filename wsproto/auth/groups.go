package auth

import (
	"bytes"
	"encoding/json"
	"slices"

	"roost/internal/names"
)

// MaxGroups bounds how many groups a token may name.
const MaxGroups = 200

// The claim groups lists the groups that a token's user is in, or names the only one. Null, as some libraries write an
// empty list, is none. It is read in two ways that have to agree: groupsOf takes every spelling, plainGroups the usual
// one.

// groupsOf reads the claim, nil where there is none. It is false for anything but what names.ValidGroup says, MaxGroups times.
func groupsOf(raw json.RawMessage) (groups []string, ok bool) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, true
	}
	list := []json.RawMessage{raw}
	if raw[0] == '[' {
		if err := json.Unmarshal(raw, &list); err != nil {
			return nil, false
		}
	}
	if len(list) > MaxGroups {
		return nil, false
	}
	for _, item := range list {
		name, ok := stringOf(item)
		if !ok || !names.ValidGroup(name) {
			return nil, false
		}
		groups = append(groups, name)
	}
	return eachOnce(groups), true
}

// plainGroups reads the claim where it is spelled without escapes. It is false where it is not sure. What it returns
// shares one copy of the text.
func plainGroups(text []byte) (groups []string, ok bool) {
	switch {
	case string(text) == "null":
		return nil, true
	case text[0] != '"' && text[0] != '[', bytes.IndexByte(text, '\\') >= 0:
		return nil, false
	}
	rest := text
	if rest[0] == '[' {
		if rest = afterSpace(rest[1:]); rest[0] == ']' {
			return nil, true
		}
	}
	shared := string(text)
	groups = make([]string, 0, min(MaxGroups, 1+bytes.Count(rest, []byte{','})))
	for range MaxGroups {
		after, ok := afterString(rest)
		if !ok {
			return nil, false
		}
		name := shared[len(text)-len(rest)+1 : len(text)-len(after)-1]
		if !names.ValidGroup(name) {
			return nil, false
		}
		groups = append(groups, name)
		if rest = afterSpace(after); len(rest) == 0 || rest[0] == ']' {
			return eachOnce(groups), true
		}
		rest = afterSpace(rest[1:]) // it is JSON, so this was a comma
	}
	return nil, false
}

// eachOnce sorts names, whose order means nothing, and leaves out those that were there already.
func eachOnce(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}
