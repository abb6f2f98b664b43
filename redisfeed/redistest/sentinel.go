package redistest

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

// MasterName is how the sentinels of a Trio call their master.
const MasterName = "roost-test"

// How long the sentinels wait for a server that does not answer, in milliseconds: quick while a test has killed or paused one, and
// patient else, with those that a busy machine leaves without a turn.
const (
	quickDown   = 1500
	patientDown = 60000
)

// Trio is a master, its replica, and three sentinels that watch them and are quick about it: two of them together make
// the replica the master, about two seconds after the test has killed or paused the master.
type Trio struct {
	Master, Replica *Server // as they began
	Sentinels       [3]*Server

	t    testing.TB
	kept bool // by KeepMaster
}

// StartTrio starts the five, and waits until all sentinels know of each other and of the replica. All five speak TLS
// where it says how.
func StartTrio(t testing.TB, secured *TLS) *Trio {
	t.Helper()
	if testing.Short() {
		t.Skip("sentinels take seconds")
	}
	quick := []string{"--repl-diskless-sync-delay", "0"}
	tr := &Trio{t: t, Master: begin(t, &Server{tls: secured, args: quick})}
	follow := append([]string{"--replicaof", host, strconv.Itoa(tr.Master.Port())}, quick...)
	tr.Replica = begin(t, &Server{tls: secured, args: follow})
	for i := range tr.Sentinels {
		tr.Sentinels[i] = startSentinel(t, tr.Master, secured)
	}
	for _, s := range tr.Sentinels {
		s.debug("info-period", "300", "publish-period", "200", "ask-period", "300", "ping-period", "200",
			// Sentinels that stood still for a while do nothing for half a minute, in case their clock was set.
			"tilt-trigger", "60000", "tilt-period", "1000")
	}
	for _, s := range tr.Sentinels {
		tr.await("a sentinel to know all others", func() bool {
			about := s.aboutMaster()
			return about["num-slaves"] == "1" && about["num-other-sentinels"] == "2" && about["flags"] == "master"
		})
	}
	tr.await("the replica to follow", func() bool {
		info, err := tr.Replica.Client().Info(context.Background(), "replication").Result()
		return err == nil && strings.Contains(info, "master_link_status:up")
	})
	// Now that they know each other there is time. A sentinel that has not heard of a failover for four of these periods
	// makes the new master a replica of the old one again.
	for _, s := range tr.Sentinels {
		s.debug("publish-period", "1000")
	}
	for _, s := range []*Server{tr.Master, tr.Replica, tr.Sentinels[0], tr.Sentinels[1], tr.Sentinels[2]} {
		s.told = tr.setPatience
	}
	return tr
}

// setPatience says to the sentinels that run how long they wait.
func (tr *Trio) setPatience() {
	tr.t.Helper()
	down := patientDown
	if !tr.kept && !(tr.Master.runs() && tr.Replica.runs()) {
		down = quickDown
	}
	for _, s := range tr.Sentinels {
		if !s.runs() {
			continue
		}
		if err := s.Client().Do(context.Background(), "SENTINEL", "SET", MasterName, "down-after-milliseconds", down).Err(); err != nil {
			tr.t.Fatalf("redistest: %v", err)
		}
	}
}

// Addrs are the sentinels' host:port.
func (tr *Trio) Addrs() []string {
	var addrs []string
	for _, s := range tr.Sentinels {
		addrs = append(addrs, s.Addr())
	}
	return addrs
}

// AwaitMaster waits until all sentinels that run call s the master.
func (tr *Trio) AwaitMaster(s *Server) {
	tr.t.Helper()
	for _, sentinel := range tr.Sentinels {
		if sentinel.proc == nil {
			continue
		}
		tr.await("the sentinels to name "+s.Addr(), func() bool {
			about := sentinel.aboutMaster()
			return net.JoinHostPort(about["ip"], about["port"]) == s.Addr()
		})
	}
}

// KeepMaster has the sentinels be patient from now on, also while a server is gone: there is no other failover, because a busy machine
// leaves the new master without a turn.
func (tr *Trio) KeepMaster() {
	tr.t.Helper()
	tr.kept = true
	tr.setPatience()
}

// Failover has a sentinel make the replica the master. On a busy machine a sentinel gives up, because it has not heard of
// the replica for a moment: then it is asked again.
func (tr *Trio) Failover() {
	tr.t.Helper()
	sentinel := tr.Sentinels[1]
	tr.await("a failover on demand", func() bool {
		about := sentinel.aboutMaster()
		if net.JoinHostPort(about["ip"], about["port"]) == tr.Replica.Addr() {
			return true
		}
		if about["flags"] != "" && !strings.Contains(about["flags"], "failover_in_progress") {
			_ = sentinel.Client().Do(context.Background(), "SENTINEL", "FAILOVER", MasterName).Err()
		}
		return false
	})
}

// AwaitReplica waits until s follows another.
func (tr *Trio) AwaitReplica(s *Server) {
	tr.t.Helper()
	tr.await(s.Addr()+" to be a replica", func() bool {
		info, err := s.Client().Info(context.Background(), "replication").Result()
		return err == nil && strings.Contains(info, "role:slave") && strings.Contains(info, "master_link_status:up")
	})
}

func (tr *Trio) await(what string, cond func() bool) {
	tr.t.Helper()
	await(tr.t, what, func() error {
		if !cond() {
			return errNotYet
		}
		return nil
	})
}

// startSentinel starts a sentinel of a trio. It keeps what it knows over a Restart, in its configuration file.
func startSentinel(t testing.TB, master *Server, secured *TLS) *Server {
	t.Helper()
	text := strings.Join([]string{
		fmt.Sprintf("sentinel monitor %s %s %d 2", MasterName, master.Host(), master.Port()),
		fmt.Sprintf("sentinel down-after-milliseconds %s %d", MasterName, patientDown),
		"sentinel failover-timeout " + MasterName + " 2000",
	}, "\n") + "\n"
	path := filepath.Join(t.TempDir(), "sentinel.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatalf("redistest: %v", err)
	}
	return begin(t, &Server{conf: path, tls: secured})
}

// aboutMaster is what a sentinel knows of the master; nothing when it does not answer.
func (s *Server) aboutMaster() map[string]string {
	cmd := redis.NewMapStringStringCmd(context.Background(), "SENTINEL", "MASTER", MasterName)
	_ = s.Client().Process(context.Background(), cmd)
	return cmd.Val()
}

// debug sets a sentinel's inner periods, in milliseconds.
func (s *Server) debug(settings ...any) {
	s.t.Helper()
	cmd := redis.NewStatusCmd(context.Background(), append([]any{"SENTINEL", "DEBUG"}, settings...)...)
	if err := s.Client().Process(context.Background(), cmd); err != nil {
		s.t.Fatalf("redistest: %v", err)
	}
}
