package publish

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"roost/redisfeed/redistest"
)

// batchOf has n messages for everybody and for users, in turn.
func batchOf(n int) (batch []Message) {
	for i := range n {
		m := Message{Kind: ForUser, Name: "alice", Payload: fmt.Sprint(i)}
		switch i % 4 {
		case 1:
			m.Kind, m.Name = ForEveryone, ""
		case 2:
			m.Kind, m.Name = ForGroup, "staff"
		case 3:
			m.Kind = Command
		}
		batch = append(batch, m)
	}
	return batch
}

func TestBatchInOrder(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	p := patient(Config{Addr: server.Addr()})
	defer p.Close()
	sub := server.Client().PSubscribe(t.Context(), "*")
	defer sub.Close()
	if _, err := sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	batch := batchOf(1000)
	batch = append(batch, Message{Kind: ForUser, Name: "bob", Payload: "last"})
	heard, err := p.PublishBatch(t.Context(), batch)
	if err != nil || !slices.Equal(heard, slices.Repeat([]int64{1}, len(batch))) {
		t.Fatalf("%d heard by %v, %v", len(heard), heard, err)
	}
	for i, want := range batch {
		got, err := sub.ReceiveMessage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if channel := Channel(want.Kind, want.Name); got.Channel != channel || got.Payload != want.Payload {
			t.Fatalf("message %d is %s %s, want %s %s", i, got.Channel, got.Payload, channel, want.Payload)
		}
	}
}

// A user of the ACL who may not publish for groups: what came before is published, and what comes behind may be.
func TestBatchRefusedInTheMiddle(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	redistest.Allow(t, server.Client(), "backend", "secret", []string{"+publish", "&user_noti:*", "&user_noti_all"})
	p := patient(Config{Addr: server.Addr(), Username: "backend", Password: "secret"})
	defer p.Close()
	for _, tt := range []struct {
		batch []Message
		want  BatchError
	}{
		{batchOf(3), BatchError{Published: 2}},
		{batchOf(5), BatchError{Published: 2, Uncertain: true}},
	} {
		_, err := p.PublishBatch(t.Context(), tt.batch)
		var failed *BatchError
		if !errors.As(err, &failed) || !errors.Is(err, ErrAuth) || failed.Published != tt.want.Published || failed.Uncertain != tt.want.Uncertain {
			t.Errorf("%d messages: %+v, want %+v", len(tt.batch), failed, tt.want)
		}
	}
}

func TestBatchWithoutRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	p := patient(Config{Addr: server.Addr()})
	defer p.Close()
	server.Kill()
	_, err := p.PublishBatch(t.Context(), batchOf(2))
	if failed := new(BatchError); !errors.As(err, &failed) || failed.Published != 0 || failed.Uncertain {
		t.Errorf("%+v: surely nothing is published", failed)
	}
	if heard, err := p.PublishBatch(t.Context(), nil); err != nil || len(heard) != 0 {
		t.Errorf("nothing is published as %v, %v", heard, err)
	}
}

func TestBatchOnACluster(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a cluster")
	}
	t.Parallel()
	cluster := redistest.StartCluster(t, redistest.ClusterOptions{})
	cluster.KeepRoles()
	p := patient(Config{Nodes: cluster.Addrs(), Sharded: true})
	defer p.Close()
	sub := cluster.Client().SSubscribe(t.Context(), "user_noti:alice")
	defer sub.Close()
	if _, err := sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	heard, err := p.PublishBatch(t.Context(), batchOf(8))
	if want := []int64{1, -1, -1, -1, 1, -1, -1, -1}; err != nil || !slices.Equal(heard, want) {
		t.Errorf("heard by %v, %v, want %v", heard, err, want)
	}
}

func TestParseChannel(t *testing.T) {
	t.Parallel()
	for _, m := range batchOf(4) {
		if kind, name, ok := ParseChannel(Channel(m.Kind, m.Name)); !ok || kind != m.Kind || name != m.Name {
			t.Errorf("%s is read as %v %q %v", Channel(m.Kind, m.Name), kind, name, ok)
		}
	}
	for _, name := range []string{"alice", "user_noti", "user_noti_all2", ""} {
		if _, _, ok := ParseChannel(name); ok {
			t.Errorf("%q is no channel", name)
		}
	}
}
