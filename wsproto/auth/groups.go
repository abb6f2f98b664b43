package auth

import (
	"slices"
	"strings"

	"roost/internal/jsonscan"
	"roost/internal/names"
)

// MaxGroups bounds how many groups a token may name.
const MaxGroups = names.MaxGroups

// groupsOf reads the claim groups, which lists the groups that a token's user is in, or names the only one. It is nil if
// there is no such claim, and for null, as some libraries write an empty list. It is false for anything but what
// names.ValidGroup says, MaxGroups times. The names share one copy of the text.
func groupsOf(text string) (groups []string, ok bool) {
	text = strings.Clone(text) // they outlive the token
	switch {
	case text == "" || text == "null":
		return nil, true
	case text[0] != '[':
		group, ok := stringOf(text)
		return []string{group}, ok && names.ValidGroup(group)
	}
	i := jsonscan.SkipSpace(text, 1)
	if text[i] == ']' {
		return nil, true
	}
	groups = make([]string, 0, min(MaxGroups, 1+strings.Count(text, ",")))
	for range MaxGroups {
		end := jsonscan.SkipValue(text, i, 0)
		group, ok := stringOf(text[i:end])
		if !ok || !names.ValidGroup(group) {
			return nil, false
		}
		groups = append(groups, group)
		if i = jsonscan.SkipSpace(text, end); text[i] == ']' { // the text is JSON, so else it is a comma
			slices.Sort(groups) // their order means nothing
			return slices.Compact(groups), true
		}
		i = jsonscan.SkipSpace(text, i+1)
	}
	return nil, false
}
