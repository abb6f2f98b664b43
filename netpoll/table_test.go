package netpoll

import (
	"sync"
	"testing"
)

func TestTable(t *testing.T) {
	t.Parallel()
	var table table
	if table.get(0) != nil || table.get(1<<20) != nil {
		t.Error("an empty table has an entry")
	}
	conns := map[int32]*conn{}
	for _, fd := range []int32{7, 0, pageSize - 1, pageSize, 100 * pageSize} {
		conns[fd] = new(conn)
		table.set(fd, conns[fd])
	}
	for fd, c := range conns {
		if table.get(fd) != c {
			t.Errorf("descriptor %d is somebody else's", fd)
		}
	}
	table.set(7, nil)
	if table.get(7) != nil || table.get(8) != nil || table.get(101*pageSize) != nil {
		t.Error("there is an entry that nobody made")
	}
}

func TestTableGrowsUnderTheLoops(t *testing.T) {
	t.Parallel()
	var table table
	var wg sync.WaitGroup
	for loop := range int32(4) {
		wg.Go(func() {
			c := new(conn)
			for fd := loop; fd < 20*pageSize; fd += 4 {
				table.set(fd, c)
				if table.get(fd) != c {
					t.Errorf("descriptor %d was lost", fd)
					return
				}
			}
		})
	}
	wg.Wait()
}
