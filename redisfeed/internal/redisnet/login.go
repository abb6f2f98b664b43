package redisnet

import "strconv"

// anyPassword is sent for a user that has a name and no password here. Redis takes any password of a user that is
// marked nopass, and refuses this one of any other; without one go-redis would not authenticate at all, and work as the
// user default.
const anyPassword = "nopass"

// authPassword is what to authenticate with.
func authPassword(username, password string) string {
	if username != "" && password == "" {
		return anyPassword
	}
	return password
}

// Login is the commands that begin a connection, in the order in which they are answered. CLIENT may be refused, which a
// narrow ACL does; the others may not. There is no HELLO: without it a connection speaks RESP2.
func (c Config) Login() (commands [][]string) {
	switch password := authPassword(c.Username, c.Password); {
	case c.Username != "":
		commands = append(commands, []string{"AUTH", c.Username, password})
	case password != "":
		commands = append(commands, []string{"AUTH", password})
	}
	if c.DB != 0 {
		commands = append(commands, []string{"SELECT", strconv.Itoa(c.DB)})
	}
	if c.ClientName != "" {
		commands = append(commands, []string{"CLIENT", "SETNAME", c.ClientName})
	}
	return commands
}
