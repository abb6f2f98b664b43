package main

import (
	"fmt"
	"strings"

	"roost/redisfeed/publish"
)

// checkRecipient is checkUser for a command that is about somebody: it also refuses the name of a channel, which is a valid
// user id that hardly anybody has, so that the command would reach nobody and say nothing of it.
func checkRecipient(user string) error {
	if err := checkUser(user); err != nil {
		return err
	}
	if is := ofChannel(user); is != "" {
		return usageErrorf("%q is the name of a channel, not of a user: %s", user, is)
	}
	return nil
}

// checkRecipients is checkGroup with the same.
func checkRecipients(group string) error {
	if err := checkGroup(group); err != nil {
		return err
	}
	if is := ofChannel(group); is != "" {
		return usageErrorf("%q is the name of a channel, not of a group: %s", group, is)
	}
	return nil
}

// ofChannel says whom a channel is for, and what reaches them; "" if name is not that of a channel.
func ofChannel(name string) string {
	if name == publish.AllChannel {
		return "what is for everyone is sent by roost broadcast without --group"
	}
	if user, ok := strings.CutPrefix(name, publish.ChannelPrefix); ok {
		return fmt.Sprintf("the user is %q, notified by roost publish", user)
	}
	if group, ok := strings.CutPrefix(name, publish.GroupPrefix); ok {
		return fmt.Sprintf("the group is %q, notified by roost broadcast --group", group)
	}
	if user, ok := strings.CutPrefix(name, publish.ControlPrefix); ok {
		return fmt.Sprintf("the user is %q, disconnected by roost disconnect", user)
	}
	return ""
}
