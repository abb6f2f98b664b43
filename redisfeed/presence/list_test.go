package presence

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"roost/redisfeed/publish"
	"roost/redisfeed/redistest"
)

// outbox settles what it gets, unless it is held.
type outbox struct {
	gotten
	held atomic.Bool
	upTo atomic.Int64 // while it is held
}

func (o *outbox) Pushed() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return int64(len(o.all))
}

func (o *outbox) Settled() int64 {
	if o.held.Load() {
		return o.upTo.Load()
	}
	return o.Pushed()
}

func (o *outbox) hold() {
	o.upTo.Store(o.Pushed())
	o.held.Store(true)
}

// count is how many users have got these events.
func (o *outbox) count(events string, users []string) (n int) {
	for _, user := range users {
		if o.of(user) == events {
			n++
		}
	}
	return n
}

// keeper is a Writer with a list, whose goroutine is the test's: nothing happens but what the test does.
type keeper struct {
	*Writer
	*people
	t      testing.TB
	server *redis.Client
	out    *outbox
}

func newKeeper(t testing.TB, server *redistest.Server, cfg publish.Config) *keeper {
	t.Helper()
	k := &keeper{people: newPeople(), t: t, out: new(outbox)}
	if server != nil {
		k.server = server.Client()
	}
	k.Writer = patient(t, cfg, time.Hour, k.people, k.out.add)
	t.Cleanup(func() { _ = k.pool.Close() })
	k.KeepList(k.out)
	return k
}

// write has users come or go, and writes it.
func (k *keeper) writes(connections int, users ...string) {
	k.t.Helper()
	k.set(connections, users...)
	k.flush()
}

func (k *keeper) flush() {
	k.t.Helper()
	k.take(time.Now())
	for k.pending.Len() > 0 {
		k.writePending(k.t.Context())
	}
	if k.failed.Len() > 0 {
		k.t.Fatalf("%d were not written", k.failed.Len())
	}
}

// looks has the time come to look for dead instances, and does all there is to do.
func (k *keeper) looks() {
	k.t.Helper()
	if !k.list.registered {
		if _, err := k.writeAhead(k.t.Context(), nil); err != nil {
			k.t.Fatal(err)
		}
	}
	k.list.lookAt, k.list.claimAt, k.list.retryAt = time.Time{}, time.Time{}, time.Time{}
	for range 1000 {
		if k.tend(k.t.Context(), time.Now()) > 0 {
			return
		}
	}
	k.t.Fatal("it never ends")
}

// onList are the users on an instance's list.
func (k *keeper) onList(id string) []string {
	k.t.Helper()
	users, err := k.server.SMembers(k.t.Context(), ListPrefix+id).Result()
	if err != nil {
		k.t.Fatal(err)
	}
	slices.Sort(users)
	return users
}

func (k *keeper) wantList(id string, want ...string) {
	k.t.Helper()
	if got := k.onList(id); !slices.Equal(got, want) {
		k.t.Errorf("%d are on the list, want %d: %.200q, want %.200q", len(got), len(want), fmt.Sprint(got), fmt.Sprint(want))
	}
}

func (k *keeper) wantInstances(want ...string) {
	k.t.Helper()
	got := k.server.ZRange(k.t.Context(), InstancesKey, 0, -1).Val()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		k.t.Errorf("instances %q, want %q", got, want)
	}
}

// expire has an instance's time be over.
func (k *keeper) expire(member string) {
	k.t.Helper()
	if n, err := k.server.ZAddXX(k.t.Context(), InstancesKey, redis.Z{Score: 1, Member: member}).Result(); err != nil || n != 0 {
		k.t.Fatal(n, err)
	}
	if k.server.ZScore(k.t.Context(), InstancesKey, member).Val() != 1 {
		k.t.Fatalf("%q is no instance", member)
	}
}

// A dead instance's users are told of by another: as offline, or online if they are connected to another.
func TestADeadInstanceIsReported(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	told := watchEvents(t, server)
	dead, lives := newKeeper(t, server, quick(server.Addr())), newKeeper(t, server, quick(server.Addr()))
	users := manyUsers(1200)
	dead.writes(1, users...)
	lives.writes(1, users[:300]...)
	lives.writes(1, "another")
	told.soFar()
	lives.looks()
	if n := len(lives.out.all); n != 1 {
		t.Fatalf("%d events while both live, want that of another", n)
	}
	dead.expire(dead.id)
	lives.looks()
	if offline, online := lives.out.count("-", users[300:]), lives.out.count("+", users[:300]); offline != 900 || online != 300 {
		t.Errorf("%d are offline and %d online, want 900 and 300", offline, online)
	}
	if n := lives.Status().Reported; n != 1200 {
		t.Errorf("%d users are counted", n)
	}
	if n := len(told.soFar()); n != 900 {
		t.Errorf("%d messages on the channel, want one for each who is offline", n)
	}
	lives.wantInstances(lives.id)
	lives.wantList(dead.id)
	lives.wantList(lives.id, append([]string{"another"}, users[:300]...)...)
	if n := instancesOf(t, lives.pool.Config(), users[0], users[300]); n[0] != 1 || n[1] != 0 {
		t.Errorf("on %v instances", n)
	}
	lives.writes(0, users[0])
	if got := lives.out.of(users[0]); got != "+-" {
		t.Errorf("who goes then has the events %q", got)
	}
}

// If the instance that reports a dead one dies, too, the next one goes on, and tells all that may not have been sent. Meanwhile others
// leave it alone.
func TestTheReporterDies(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	cfg := quick(server.Addr())
	dead, first, second := newKeeper(t, server, cfg), newKeeper(t, server, cfg), newKeeper(t, server, cfg)
	users := manyUsers(1200)
	dead.writes(1, users...)
	dead.expire(dead.id)
	first.out.hold()
	first.looks()
	if n := len(first.out.all); n != batchSize {
		t.Fatalf("%d events, want those of a batch: none of them is settled", n)
	}
	if n := len(first.onList(dead.id)); n != len(users) {
		t.Fatalf("%d users are on the list, want all", n)
	}
	second.looks()
	if n := len(second.out.all); n != 0 {
		t.Fatalf("the other has told %d events of what the first does", n)
	}
	first.out.upTo.Store(batchSize)
	first.looks()
	if n := len(first.out.all); n != 2*batchSize {
		t.Fatalf("%d events, want those of two batches", n)
	}
	first.wantInstances(first.id, second.id, takenPrefix+dead.id)
	first.expire(takenPrefix + dead.id)
	second.looks()
	second.wantInstances(first.id, second.id)
	settled := 0
	for _, user := range users {
		switch {
		case second.out.of(user) == "-":
		case second.out.of(user) == "" && first.out.of(user) == "-":
			settled++
		default:
			t.Fatalf("%s: %q and %q", user, first.out.of(user), second.out.of(user))
		}
	}
	if settled != batchSize {
		t.Errorf("%d were left out, want those who were settled", settled)
	}

	// The first was only slow: what it does now harms nobody.
	first.out.held.Store(false)
	first.looks()
	first.wantInstances(first.id, second.id)
}

// An instance that was taken for dead, and is not, has its users online again under another name, and they go as others do.
func TestAnInstanceComesBack(t *testing.T) {
	t.Parallel()
	for name, renewed := range map[string]bool{"by a renewal": true, "by a look": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			cfg := quick(server.Addr())
			var log redistest.Log
			stood, other := newKeeper(t, server, cfg), newKeeper(t, server, cfg)
			stood.log = log.Logger()
			users := manyUsers(700)
			stood.writes(1, users...)
			before := stood.id
			stood.expire(stood.id)
			other.looks()
			if n := other.out.count("-", users); n != len(users) {
				t.Fatalf("%d are offline", n)
			}
			if renewed {
				stood.renewing = users
				stood.renew(t.Context()) // some of them, under the old name
			} else {
				stood.looks()
			}
			if stood.id == before || stood.previous != before {
				t.Fatal("it goes on under the old name")
			}
			stood.flush()
			if n := stood.out.count("++", users); n != len(users) {
				t.Errorf("%d are online again", n)
			}
			stood.wantList(stood.id, users...)
			if !strings.Contains(log.String(), "presence is written anew") {
				t.Error("the log does not say so")
			}
			for i, n := range instancesOf(t, cfg, users...) {
				if n != 1 {
					t.Fatalf("%s is on %d instances", users[i], n)
				}
			}
			stood.writes(0, users[:100]...)
			if n := stood.out.count("++-", users[:100]); n != 100 {
				t.Errorf("%d are offline, want 100", n)
			}

			// What it had written under the old name before it knew is found, and told as it is.
			other.expire(before)
			other.looks()
			for i, user := range users {
				want := "-+"
				if i < 100 {
					want = "--"
				}
				if got := other.out.of(user); got != "-" && got != want {
					t.Fatalf("%s: %q, want %q, or no second", user, got, want)
				}
			}
			other.wantInstances(stood.id, other.id)
		})
	}
}

// A write that comes late, after the list was reported, is found under the old name: its user does not stay online in silence.
func TestALateWriteIsReported(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	cfg := quick(server.Addr())
	late, other := newKeeper(t, server, cfg), newKeeper(t, server, cfg)
	late.writes(1, "alice")
	late.expire(late.id)
	other.looks()
	id := late.id
	late.set(1, "bob")
	late.take(time.Now())
	late.write(t.Context(), []string{"bob"}) // and then it dies
	other.wantList(id, "bob")
	other.expire(id)
	other.looks()
	if got := other.out.of("bob"); got != "-" || exists(t, server, "bob") {
		t.Errorf("bob has the events %q", got)
	}
}

// Users stay on the list until what was told of them is settled: a crash before that loses it.
func TestOnTheListUntilSettled(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	one := newKeeper(t, server, quick(server.Addr()))
	one.out.hold()
	one.writes(1, "alice", "bob", "carol")
	one.writes(0, "alice", "bob", "carol")
	one.looks()
	one.wantList(one.id, "alice", "bob", "carol")
	one.writes(2, "bob")
	one.out.upTo.Store(5) // three came, and two of those who went
	one.looks()
	one.wantList(one.id, "alice", "bob", "carol") // who went together is settled together
	one.out.held.Store(false)
	one.looks()
	one.wantList(one.id, "bob")
	one.writes(0, "bob")
	one.looks()
	one.wantList(one.id)
}

// While the endpoint takes nothing a bounded number of users is remembered. Others stay on the list, and are reported after the end.
func TestManyGoWhileNothingIsSettled(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	one, other := newKeeper(t, server, quick(server.Addr())), newKeeper(t, server, quick(server.Addr()))
	one.out.hold()
	one.writes(1, "alice")
	one.writes(0, "alice")
	one.list.unlistLater(manyUsers(maxGone))
	if n := len(one.list.gone); n != maxGone {
		t.Errorf("%d are remembered", n)
	}
	one.list.gone = nil
	one.Retire(t.Context())
	other.looks()
	if got := other.out.of("alice"); got != "-" {
		t.Errorf("alice has the events %q", got)
	}
}

// Renewals bring back what Redis has lost of the list, and each keeps it for a week.
func TestRenewalsListAgain(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	one := newKeeper(t, server, quick(server.Addr()))
	one.writes(1, "alice", "bob")
	if err := server.Client().Del(t.Context(), ListPrefix+one.id).Err(); err != nil {
		t.Fatal(err)
	}
	one.renewing = []string{"alice", "bob"}
	one.renew(t.Context())
	one.wantList(one.id, "alice", "bob")
	if ttl := server.Client().PTTL(t.Context(), ListPrefix+one.id).Val(); ttl <= listTTL/2 || ttl > listTTL {
		t.Errorf("the list is kept for %s", ttl)
	}
}

// Who could not be told of during an outage is found on the list: the instance leaves it to whoever reports it.
func TestUsersForgottenInAnOutage(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	one := newKeeper(t, server, quick(server.Addr()))
	one.writes(1, "goes", "stays")
	id := one.id
	one.set(0, "goes")
	one.take(time.Now())
	one.didNotWrite(failed{user: "goes"}, time.Now())
	one.again(time.Now().Add(one.ttl + answerLimit + time.Minute))
	one.flush()
	one.flush() // under another name
	if one.id == id || one.out.of("goes") != "+" {
		t.Fatalf("events %q", one.out.of("goes"))
	}
	one.expire(id)
	one.looks()
	if goes, stays := one.out.of("goes"), one.out.of("stays"); goes != "+-" || stays != "++" {
		t.Errorf("events %q of who went, %q of who stays", goes, stays)
	}
	one.wantInstances(one.id)
}

// A clean end leaves nothing behind, or what is left to tell, for another instance to tell at once.
func TestRetire(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	cfg := quick(server.Addr())
	one, two, other := newKeeper(t, server, cfg), newKeeper(t, server, cfg), newKeeper(t, server, cfg)
	users := manyUsers(1100)
	one.writes(1, users...)
	one.leave()
	one.Retire(t.Context())
	other.wantInstances()
	other.wantList(one.id)

	two.writes(1, users...)
	two.out.hold()
	two.leave()
	two.out.upTo.Add(600)
	two.Retire(t.Context())
	other.wantInstances(two.id)
	other.looks()
	other.wantInstances(other.id)
	told := other.out.count("-", users)
	if told < 500 || told > 1100-500 {
		t.Errorf("%d are told by the other, and some 600 were settled", told)
	}
}

// A user whom Redis refused to take off the list, in this process or the one before it, is left for another instance once that may.
func TestRetireLeavesWhoIsOnTheList(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	one, other := newKeeper(t, server, quick(server.Addr())), newKeeper(t, server, quick(server.Addr()))
	one.writes(1, "alice")
	one.writes(0, "alice")
	one.list.gone = nil // as after a refusal
	one.leave()
	one.Retire(t.Context())
	other.wantInstances(one.id)
	other.looks()
	other.wantList(one.id)
	other.wantInstances(other.id)
}

// Only one of those who look gets a dead instance, and nobody does who has just come back itself.
func TestClaims(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	cfg := quick(server.Addr())
	dead, one, two := newKeeper(t, server, cfg), newKeeper(t, server, cfg), newKeeper(t, server, cfg)
	dead.writes(1, "alice")
	one.looks()
	two.looks()
	dead.expire(dead.id)
	one.expire(one.id) // Redis was away for all of them
	one.looks()
	if one.list.walk != nil || len(one.out.all) > 0 || !one.list.claimAt.After(time.Now()) {
		t.Error("it takes others for dead, and was away itself")
	}
	one.out.hold()
	one.looks()
	two.looks()
	if one.out.of("alice") != "-" || two.out.of("alice") != "" {
		t.Errorf("the first has told %q, the second %q", one.out.of("alice"), two.out.of("alice"))
	}
}

// A key that is somebody else's, in the place of one of the lists', keeps nobody from being written.
func TestListsAreSomebodyElses(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	var log redistest.Log
	cfg := quick(server.Addr())
	cfg.Logger = log.Logger()
	one := newKeeper(t, server, cfg)
	for _, key := range []string{InstancesKey, ListPrefix + one.id} {
		if err := server.Client().Set(t.Context(), key, "something", 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	one.writes(1, "alice")
	one.writes(0, "alice")
	one.looks()
	if got := one.out.of("alice"); got != "+-" {
		t.Errorf("events %q", got)
	}
	if n := strings.Count(log.String(), "redis refuses what that needs"); n != 1 {
		t.Errorf("%d lines about it:\n%s", n, log.String())
	}
}

// Which errors may be others the next time.
func TestPassing(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	refused := server.Client().Do(t.Context(), "NOSUCHCOMMAND").Err()
	if passing(refused) || !passing(errors.New("connection reset")) {
		t.Error("an answer stays, the connection comes back")
	}
	if err := server.Client().ConfigSet(t.Context(), "maxmemory", "1").Err(); err != nil {
		t.Fatal(err)
	}
	if err := server.Client().SAdd(t.Context(), "key", "value").Err(); err == nil || !passing(err) {
		t.Errorf("%v may pass", err)
	}
}

// Without a list there is not one command more.
func TestWithoutAList(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	one := startInstance(t, quick(server.Addr()), time.Second)
	one.set(1, "alice")
	redistest.WaitFor(t, "renewals", func() bool { return one.Status().Written > 5 })
	one.end()
	one.Retire(t.Context())
	stats := server.Client().Info(t.Context(), "commandstats").Val()
	for _, command := range []string{"sadd", "srem", "srandmember", "zscore"} {
		if strings.Contains(stats, "cmdstat_"+command+":") {
			t.Errorf("it sends %s", command)
		}
	}
	if keys := server.Client().Keys(t.Context(), "roost:*").Val(); len(keys) > 0 {
		t.Errorf("there are %q", keys)
	}
}

// In a cluster lists and users are on different nodes.
func TestListsInACluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t, redistest.ClusterOptions{NoReplicas: true})
	c.KeepRoles()
	cfg := quick("")
	cfg.Nodes = c.Addrs()
	dead, lives := newKeeper(t, nil, cfg), newKeeper(t, nil, cfg)
	users := manyUsers(700)
	dead.writes(1, users...)
	lives.writes(1, users[:100]...)
	cluster := lives.pool.Cluster()
	expire := func(id string) {
		if err := cluster.ZAddXX(t.Context(), InstancesKey, redis.Z{Score: 1, Member: id}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	id := dead.id
	expire(id)
	lives.looks()
	if offline, online := lives.out.count("-", users[100:]), lives.out.count("+", users[:100]); offline != 600 || online != 100 {
		t.Errorf("%d are offline and %d online, want 600 and 100", offline, online)
	}
	if n := cluster.Exists(t.Context(), ListPrefix+id).Val(); n != 0 {
		t.Error("the list is still there")
	}
	dead.renewing = users
	dead.renew(t.Context())
	dead.flush()
	if n := cluster.SCard(t.Context(), ListPrefix+dead.id).Val(); dead.id == id || n != 700 {
		t.Errorf("it came back with %d users", n)
	}
	if n := dead.out.count("++", users[100:]); n != 600 {
		t.Errorf("%d are online again, want 600", n)
	}
	dead.leave()
	dead.Retire(t.Context())
	if n := cluster.Exists(t.Context(), ListPrefix+dead.id).Val(); n != 0 {
		t.Error("the list is still there after a clean end")
	}
}

// The list goes along in a handover, with those who are still on it. A process without one goes on under another name.
func TestListThroughAHandover(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	cfg := quick(server.Addr())
	next := func(old *keeper, keeps bool) *keeper {
		t.Helper()
		section := state(t, old.Writer)
		old.Commit()
		old.Retire(t.Context()) // does nothing: another has the users
		k := newKeeper(t, server, cfg)
		if !keeps {
			k.list = nil
		}
		if err := errors.Join(k.Import(section, nil), k.FinishImport()); err != nil {
			t.Fatal(err)
		}
		k.set(1, "stays")
		k.finishImport(time.Now())
		k.flush()
		return k
	}
	one := newKeeper(t, server, cfg)
	one.out.hold()
	one.writes(1, "stays", "left")
	one.writes(0, "left")
	two := next(one, true)
	if two.id != one.id || len(two.out.all) > 0 {
		t.Errorf("events %v of a process that goes on", two.out.all)
	}
	two.wantList(one.id, "left", "stays")
	two.out.held.Store(true)
	two.out.upTo.Store(-1) // what was imported still waits
	two.looks()
	two.wantList(one.id, "left", "stays")
	two.out.held.Store(false)
	two.looks()
	two.wantList(one.id, "stays")

	three := next(two, false)
	if three.id == one.id || three.previous != one.id {
		t.Error("it goes on under a name that others will take for dead")
	}
	if n := instancesOf(t, cfg, "stays")[0]; n != 1 {
		t.Errorf("on %d instances", n)
	}
	four := newKeeper(t, server, cfg)
	four.expire(one.id)
	four.looks()
	if got := four.out.of("stays"); got != "+" {
		t.Errorf("events %q", got)
	}
	three.writes(0, "stays")
	if got := three.out.of("stays"); got != "-" {
		t.Errorf("events %q", got)
	}
	four.wantInstances(four.id)
}

// What docs/redis.md gives for webhooks is enough for lists, and nothing of it is too much. Without one of them everything else works,
// and the log says what is missing.
func TestNarrowACLOfLists(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	presence := redistest.Documented(t, "../..", "… with `REDIS_PRESENCE`")
	all := redistest.Documented(t, "../..", "… and `WEBHOOK_URL`")
	if got := strings.Join(all, " "); got != listNeeds {
		t.Errorf("docs/redis.md has %q, errors say %q", got, listNeeds)
	}
	for i := range len(all) + 1 {
		name, granted := "with all", slices.Clone(presence)
		if i < len(all) {
			name, granted = "without "+all[i], append(granted, redistest.Without(all, i)...)
		} else {
			granted = append(granted, all...)
		}
		t.Run(name, func(t *testing.T) {
			user := fmt.Sprint("user", i)
			redistest.Allow(t, server.Client(), user, "pw", granted)
			var log redistest.Log
			cfg := quick(server.Addr())
			cfg.Username, cfg.Password, cfg.Logger = user, "pw", log.Logger()
			dead, lives := newKeeper(t, server, cfg), newKeeper(t, server, cfg)
			dead.writes(1, "alice", "bob")
			dead.writes(0, "bob")
			dead.looks()
			if err := server.Client().ZAdd(t.Context(), InstancesKey, redis.Z{Score: 1, Member: dead.id}).Err(); err != nil {
				t.Fatal(err)
			}
			lives.looks()
			lives.writes(1, "carol")
			lives.writes(0, "carol")
			lives.leave()
			lives.Retire(t.Context())
			if left := server.Client().ZRank(t.Context(), InstancesKey, lives.id).Err(); !errors.Is(left, redis.Nil) {
				t.Errorf("an instance that has ended cleanly is still registered (%v)", left)
			}
			if dead, lives := dead.out.of("bob"), lives.out.of("carol"); dead != "+-" || lives != "+-" {
				t.Errorf("events %q and %q", dead, lives)
			}
			said := strings.Contains(log.String(), "lacks a permission for webhooks, of "+listNeeds)
			if complete := i == len(all); complete == said || complete != (lives.out.of("alice") == "-") {
				t.Errorf("alice has the events %q, and the log says:\n%s", lives.out.of("alice"), log.String())
			}
			server.Client().FlushAll(t.Context())
		})
	}
}
