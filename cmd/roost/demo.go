//go:build linux && !client

package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"strconv"
	"time"

	"roost/cmd/roost/internal/app"
	"roost/cmd/roost/internal/config"
	"roost/cmd/roost/internal/printable"
	"roost/cmd/roost/internal/tlscert"
)

type demoCmd struct {
	TLS  bool   `name:"tls" help:"Serve wss:// and https:// as well, with a certificate that is made for the occasion."`
	User string `default:"alice" help:"The user who listens."`
}

// demoRedis is a Redis for the demo alone, which stores nothing. A binary that is built with -tags demo has one inside;
// any other starts redis-server.
type demoRedis struct {
	port int // on 127.0.0.1
	stop func()
}

func (r demoRedis) addr() string { return net.JoinHostPort(demoHost, strconv.Itoa(r.port)) }

const (
	demoHost = "127.0.0.1"
	demoPort = 16379 // can be remembered; any other where it is taken
)

// Run serves with a Redis of its own, a random secret, and a user who listens, so that one line in another terminal
// makes a notification arrive.
func (c *demoCmd) Run(env *environment) error {
	redis, err := startDemoRedis(env.ctx)
	if err != nil {
		return err
	}
	defer redis.stop()

	source, err := config.Open()
	if err != nil {
		return err
	}
	cfg, err := source.Read()
	if err != nil {
		return err
	}
	if err := demoConfig(source, &cfg, redis.port); err != nil {
		return err
	}
	certificate := ""
	if c.TLS {
		var remove func()
		if certificate, remove, err = demoTLS(&cfg); err != nil {
			return err
		}
		defer remove()
	}
	token, err := signer{cfg}.token(c.User, "", 24*time.Hour)
	if err != nil {
		return err
	}
	// The listener outlives the signal, so that it gets a close frame like every client.
	ctx, cancel := context.WithCancel(context.WithoutCancel(env.ctx))
	defer cancel()
	return serve(env, app.Options{Source: source, Config: cfg, Sockets: new(app.Sockets), Ready: func(s *app.Service) {
		c.greet(env, s, token, cfg.HTTPToken, certificate, redis)
		s.OfferDemo(func(user string) (string, error) { return signer{cfg}.token(user, "", time.Hour) })
		go c.listen(ctx, env.stdout, s, token)
	}})
}

// demoConfig fills in what a demo should not ask for. Settings from the environment or the file win, but for Redis,
// which is the demo's own.
func demoConfig(source config.Source, cfg *config.Config, redisPort int) error {
	cfg.RedisHost, cfg.RedisPort = demoHost, redisPort
	cfg.RedisUsername, cfg.RedisPassword, cfg.RedisDB = "", "", 0
	cfg.RedisAddrs, cfg.RedisMasterName, cfg.RedisSentinelUsername, cfg.RedisSentinelPassword = nil, "", "", ""
	cfg.RedisUseTLS, cfg.RedisTLSCAFile, cfg.RedisTLSCertFile, cfg.RedisTLSKeyFile, cfg.RedisTLSServerName = false, "", "", "", ""
	cfg.RedisCluster, cfg.RedisFeed = false, "pattern"
	cfg.RedisMinIdleConns = 0
	if cfg.JWTSecretKey == "" {
		cfg.JWTSecretKey = rand.Text() + rand.Text()
	}
	unlessSet := func(name string, value *string, demo string) {
		if !source.Set(name) {
			*value = demo
		}
	}
	unlessSet("WS_HOST", &cfg.WSHost, "127.0.0.1")
	unlessSet("HTTP_HOST", &cfg.HTTPHost, "127.0.0.1")
	unlessSet("LOGGER_ENCODING", &cfg.LoggerEncoding, "console")
	return cfg.Validate()
}

// plain is the notification that the demo's lines publish.
const plain = `{"type":"greeting","payload":{"text":"hello"}}`

// greet prints what to do next, ready to paste. Of a demo in a container that is a terminal of the machine around it.
func (c *demoCmd) greet(env *environment, s *app.Service, token, adminToken, certificate string, redis demoRedis) {
	url := s.LocalURL() + "/ws?token=" + token
	program, withRedis := env.program, fmt.Sprintf(`or, as a backend would:

  redis-cli -p %d PUBLISH user_noti:%s '%s'

`, redis.port, c.User, plain)
	host, _ := os.Hostname()
	if exec := containerExec(os.Getpid(), host, os.Getenv("container")); exec != "" { // no port of the Redis is published
		program, withRedis = exec+program, ""
	}
	options, overTLS := "", ""
	if adminToken != "" {
		options = " -H 'Authorization: Bearer " + adminToken + "'"
	}
	if certificate != "" {
		options, overTLS = " --cacert "+certificate+options, c.overTLS(env, s, token, certificate)
	}
	_, _ = fmt.Fprintf(env.stdout, `
Roost is running, with a Redis of its own on %[1]s, and %[2]s is listening here.

Make a notification arrive, from another terminal:

  %[3]s publish --redis %[1]s %[2]s '%[8]s'

%[4]sor one without a Redis client:

  curl%[6]s %[7]s/publish -H 'Content-Type: application/json' -d '{"user":"%[2]s","notification":%[8]s}'

Connect as %[2]s too (a token for a day):

  %[3]s listen --url '%[5]s'

or look at the console, which connects and publishes too:

  %[7]s/
%[9]s
Ctrl-C ends the demo. What follows is the server's log, and what %[2]s gets.

`, redis.addr(), c.User, program, withRedis, url, options, s.AdminScheme()+"://"+s.AdminAddr(), plain, overTLS)
}

// containerID is the beginning of an id, which containers have for a name unless they are given another.
var containerID = regexp.MustCompile(`^[0-9a-f]{12}$`)

// containerExec is what runs a program in the container whose first process this is, from the machine around it; empty outside of containers.
// host is the host's name as the process sees it, kind the variable "container", which Podman sets.
func containerExec(pid int, host, kind string) string {
	if pid != 1 {
		return ""
	}
	engine := "docker"
	if kind == "podman" {
		engine = "podman"
	}
	if !containerID.MatchString(host) {
		host = "CONTAINER"
	}
	return engine + " exec " + host + " "
}

// demoTLS has a demo serve TLS, unless the settings have a certificate already. The returned file has its certificate, for --ca-file.
func demoTLS(cfg *config.Config) (file string, remove func(), err error) {
	remove = func() {}
	if cfg.WSTLS() {
		return cfg.WSTLSCertFile, remove, nil
	}
	dir, err := os.MkdirTemp("", "roost-demo-")
	if err != nil {
		return "", remove, err
	}
	remove = func() { _ = os.RemoveAll(dir) }
	pair, err := tlscert.SelfSigned(dir, "localhost", demoHost, "::1")
	if err != nil {
		remove()
		return "", func() {}, err
	}
	cfg.WSTLSCertFile, cfg.WSTLSKeyFile = pair.Cert, pair.Key
	cfg.HTTPTLSCertFile, cfg.HTTPTLSKeyFile = pair.Cert, pair.Key
	if err := cfg.Validate(); err != nil {
		remove()
		return "", func() {}, err
	}
	return pair.Cert, remove, nil
}

// overTLS is what can be done over TLS.
func (c *demoCmd) overTLS(env *environment, s *app.Service, token, certificate string) string {
	return fmt.Sprintf(`
Over TLS, with a certificate that was made for the occasion:

  %[1]s listen --ca-file %[2]s --url 'wss://%[3]s/ws?token=%[4]s'

A browser asks once, at the console, whether to go on; wss:// works in it after the same question at https://%[3]s/health.
`, env.program, certificate, s.TLSAddr(), token)
}

// listen is the demo's own client.
func (c *demoCmd) listen(ctx context.Context, out io.Writer, s *app.Service, token string) {
	conn, err := s.Dial(ctx, "token="+token)
	if err != nil {
		s.Logger().Warn("the demo's listener can't connect", "error", err)
		return
	}
	defer func() { _ = conn.CloseNow() }()
	err = printMessages(ctx, conn, func(message []byte) {
		_, _ = fmt.Fprintf(out, "\n  %s got: %s\n\n", c.User, printable.Line(message))
	})
	if err != nil {
		s.Logger().Info("the demo's listener is disconnected", "cause", err)
	}
}
