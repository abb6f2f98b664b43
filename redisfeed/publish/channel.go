package publish

import "strings"

// Kind is whom something is published for, and so on which channel.
type Kind int

// The kinds of channels.
const (
	ForUser     Kind = iota // ChannelPrefix and the user
	ForGroup                // GroupPrefix and the group
	ForEveryone             // AllChannel
	Command                 // ControlPrefix and the user
)

// Channel returns the channel of a kind. name is the user or the group; it is not used for ForEveryone.
func Channel(kind Kind, name string) string {
	switch kind {
	case ForGroup:
		return GroupPrefix + name
	case ForEveryone:
		return AllChannel
	case Command:
		return ControlPrefix + name
	}
	return ChannelPrefix + name
}

// ParseChannel is the reverse of Channel. ok is false for what is not the name of a channel. Such names are valid user ids that
// hardly anybody has: tools refuse them where a user or a group is asked for.
func ParseChannel(channel string) (kind Kind, name string, ok bool) {
	if channel == AllChannel {
		return ForEveryone, "", true
	}
	for _, kind := range []Kind{ForUser, ForGroup, Command} {
		if name, found := strings.CutPrefix(channel, Channel(kind, "")); found {
			return kind, name, true
		}
	}
	return 0, "", false
}
