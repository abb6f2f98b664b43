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
	table.Set(9, nil)
	if table.Get(7) != nil || table.Get(8) != nil || table.Get(101*pageSize) != nil {
		t.Error("there is an entry that nobody made")
	}
}

// What a peak took is given back, but for one page, so that a descriptor at the end of a page costs none each time.
func TestTableShrinks(t *testing.T) {
	t.Parallel()
	var table Table[conn]
	c := new(conn)
	for fd := range int32(10 * pageSize) {
		table.Set(fd, c)
	}
	for fd := int32(10*pageSize - 1); fd >= pageSize; fd-- {
		table.Set(fd, nil)
	}
	if got := len(*table.pages.Load()); got != 2 {
		t.Errorf("%d pages are left of 10, want the one that is in use and the next", got)
	}
	if table.Get(0) != c || table.Get(pageSize) != nil || table.Get(9*pageSize) != nil || table.Opened(9*pageSize) != 0 {
		t.Error("the wrong entries are left")
	}
	kept := table.page(pageSize).owners
	if table.Set(pageSize, c); table.page(pageSize).owners != kept {
		t.Error("an entry in the page that was kept costs another page")
	}
	table.Set(5*pageSize, c)
	if table.Get(5*pageSize) != c || table.Get(4*pageSize) != nil {
		t.Error("a page that was given back does not come again")
	}
}

func BenchmarkGet(b *testing.B) {
	var table Table[conn]
	for fd := range int32(4 * pageSize) {
		table.Set(fd, new(conn))
	}
	fd := int32(0)
	for b.Loop() {
		if table.Get(fd&(4*pageSize-1)) == nil {
			b.Fatal("an entry was lost")
		}
		fd += 77
	}
}

func BenchmarkSet(b *testing.B) {
	var table Table[conn]
	c := new(conn)
	table.Set(5, c)
	for b.Loop() {
		table.Set(7, c)
		table.Set(7, nil)
	}
}

func TestTableGrowsAndShrinksUnderTheLoops(t *testing.T) {
	t.Parallel()
	const behind = 32
	stays := func(fd int32) bool { return fd%64 < 4 && fd/pageSize%2 == 0 }
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
				if last := fd - behind; last >= 0 && !stays(last) { // odd pages become empty behind all four
					table.Set(last, nil)
				}
			}
			for fd := loop; fd < 20*pageSize-behind; fd += 4 {
				if (table.Get(fd) == c) != stays(fd) {
					t.Errorf("descriptor %d: it should stay: %v", fd, stays(fd))
					return
				}
			}
		})
	}
	wg.Wait()
}

// A page that several loops empty and use again at the same time loses no entry.
func TestTablePageComesAndGoes(t *testing.T) {
	t.Parallel()
	var table Table[conn]
	table.Set(0, new(conn))
	table.Set(0, nil) // the empty page that is kept is this one
	var wg sync.WaitGroup
	for loop := range int32(4) {
		wg.Go(func() {
			c, fd := new(conn), 3*pageSize+loop
			for range 5000 {
				table.Set(fd, c)
				if table.Get(fd) != c {
					t.Errorf("descriptor %d was lost", fd)
					return
				}
				table.Set(fd, nil)
			}
		})
	}
	wg.Wait()
	if got := len(*table.pages.Load()); got != 1 {
		t.Errorf("%d pages are left, want one", got)
	}
}
