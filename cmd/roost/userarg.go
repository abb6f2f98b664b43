package main

import (
	"errors"
	"slices"
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

// optional returns the one that was given, "" where there is none.
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
