package main

import (
	"errors"
	"fmt"
	"slices"

	"roost/redisfeed/publish"
)

// errNoUser is what is said to those who name none.
var errNoUser = usageError{errors.New("which user? name one, such as alice")}

// oneUser is the user that a command is about: a word, or a flag, since one is as easily guessed as the other.
type oneUser struct {
	User string `arg:"" optional:"" help:"The user."`
	Flag string `name:"user" placeholder:"USER" help:"The user, for those who would rather name it."`
}

// user returns the one that was given.
func (u oneUser) user() (string, error) {
	name, err := u.optional()
	if err == nil && name == "" {
		err = errNoUser
	}
	return name, err
}

// optional returns the one that was given; "" if none was.
func (u oneUser) optional() (string, error) {
	switch {
	case u.Flag == "":
		return u.User, nil
	case u.User == "" || u.User == u.Flag:
		return u.Flag, nil
	}
	return "", usageErrorf("the user is given twice, as %q and as --user %q", u.User, u.Flag)
}

// someUsers are the users that a command is about, as words, flags, or both.
type someUsers struct {
	Users []string `arg:"" optional:"" name:"user" help:"The users."`
	Flags []string `name:"user" sep:"none" placeholder:"USER" help:"A user, for those who would rather name it."`
}

// users returns those that were given.
func (u someUsers) users() ([]string, error) {
	all := slices.Concat(u.Users, u.Flags)
	if len(all) == 0 {
		return nil, errNoUser
	}
	return all, nil
}

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
	kind, whose, ok := publish.ParseChannel(name)
	switch {
	case !ok:
		return ""
	case kind == publish.ForEveryone:
		return "what is for everyone is sent by roost broadcast without --group"
	case kind == publish.ForGroup:
		return fmt.Sprintf("the group is %q, notified by roost broadcast --group", whose)
	case kind == publish.Command:
		return fmt.Sprintf("the user is %q, disconnected by roost disconnect, and put into groups by roost groups", whose)
	}
	return fmt.Sprintf("the user is %q, notified by roost publish", whose)
}
