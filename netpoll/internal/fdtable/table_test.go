package fdtable

import (
	"sync"
	"testing"
	"time"
)

type conn struct{ _ int }

func TestTable(t *testing.T) {
	t.Parallel()
	var table Table[conn]
	if table.Get(0) != nil || table.Get(1<<20) != nil {
		t.Error("an empty table has an entry")
	}
	conns := map[int32]*conn{}
	for _, fd := range []int32{7, 0, pageSize - 1, pageSize, 100 * pageSize} {
		conns[fd] = new(conn)
		table.Set(fd, conns[fd])
	}
	for fd, c := range conns {
		if table.Get(fd) != c {
			t.Errorf("descriptor %d is somebody else's", fd)
		}
	}
	table.SetOpened(pageSize, 90*time.Minute+time.Second+time.Millisecond)
	if at := table.Opened(pageSize); at != 90*time.Minute+time.Second || table.Opened(7) != 0 {
		t.Errorf("opened at %v and %v, want 1h30m1s and 0", at, table.Opened(7))
	}
	table.Set(7, nil)
	if table.Get(7) != nil || table.Get(8) != nil || table.Get(101*pageSize) != nil {
		t.Error("there is an entry that nobody made")
	}
}

func TestTableGrowsUnderTheLoops(t *testing.T) {
	t.Parallel()
	var table Table[conn]
	var wg sync.WaitGroup
	for loop := range int32(4) {
		wg.Go(func() {
			c := new(conn)
			for fd := loop; fd < 20*pageSize; fd += 4 {
				table.Set(fd, c)
				if table.Get(fd) != c {
					t.Errorf("descriptor %d was lost", fd)
					return
				}
			}
		})
	}
	wg.Wait()
}
