package sendqueue

import (
	"testing"
	"time"

	"roost/hub"
)

func TestDropWhere(t *testing.T) {
	t.Parallel()
	var q Queue
	var memory Memory
	q.CountIn(&memory)
	for _, text := range []string{"<aaa>", "<b>", "<c>", "<b>", "<d>"} {
		n := &hub.Notification{Frame: []byte(text)}
		if text == "<d>" {
			n.SetWaiting(&hub.Waiting{Until: time.Second})
		}
		if q.Expires() {
			t.Error("nothing that waits expires")
		}
		q.Push(n)
	}
	if !q.Expires() {
		t.Error("the last one expires")
	}
	if sent := q.Took(2); sent != 0 {
		t.Fatalf("%d sent", sent)
	}
	isB := func(n *hub.Notification) bool { return string(n.Frame) != "<c>" && string(n.Frame) != "<d>" }
	if dropped := q.DropWhere(isB); len(dropped) != 2 || string(dropped[1].Frame) != "<b>" {
		t.Errorf("dropped %d", len(dropped))
	}
	checkMemory(t, &q, &memory)
	if got := string(q.Gather(make([]byte, 64))); got != "aa><c><d>" || q.Len() != 3 || q.Bytes() != len(got) {
		t.Errorf("%q waits, %d notifications of %d bytes", got, q.Len(), q.Bytes())
	}
	if sent := q.Took(9); sent != 3 || !q.Empty() {
		t.Errorf("%d sent", sent)
	}
	checkMemory(t, &q, &memory)
}
