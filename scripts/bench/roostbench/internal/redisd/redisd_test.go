package redisd

import (
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"
)

func TestInfo(t *testing.T) {
	t.Parallel()
	i := Info{"used_memory": 1}
	i.add("# Memory\r\nused_memory:1000\r\nused_memory_human:1K\r\ncmdstat_subscribe:calls=3,usec=7,usec_per_call=2.33\r\n")
	if want := (Info{"used_memory": 1001, "calls:subscribe": 3}); !reflect.DeepEqual(i, want) {
		t.Errorf("got %v, want %v", i, want)
	}
}

// Both are started, asked, started again, and ended.
func TestServers(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip(err)
	}
	for _, cluster := range []bool{false, true} {
		logs := filepath.Join(t.TempDir(), "log")
		start, nodes := Start, 1
		if cluster {
			start, nodes = StartCluster, masters
		}
		r, err := start(t.Context(), logs)
		defer r.Stop()
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		info, err := r.Info(t.Context())
		if err != nil || info[UsedMemory] < int64(nodes)<<19 || len(r.Addrs()) != nodes || r.Cluster() != cluster {
			t.Errorf("%d servers, %v, %v", len(r.Addrs()), info, err)
		}
		if s, err := r.Sample(); err != nil || s.Threads < nodes {
			t.Errorf("%+v, %v", s, err)
		}
		if shards := r.Shards(); cluster && (len(shards) != masters || shards[0].First != 0 || shards[masters-1].Last != slots-1) {
			t.Errorf("shards %v", shards)
		}
		r.Stop()
		if _, err := r.Sample(); err == nil {
			t.Error("it still runs")
		}
	}
}
