package fairqueue

// heap finds the flow that is to lose its oldest item: a binary heap whose flows know their places in it.
type heap[T any] struct {
	flows []*flow[T]
}

// before reports whether a loses an item before b does: the one with more bytes waiting, or of equals the one whose oldest
// item came first.
func before[T any](a, b *flow[T]) bool {
	if a.bytes != b.bytes || a.bytes == 0 {
		return a.bytes > b.bytes
	}
	return a.waiting.oldest().Before(b.waiting.oldest())
}

// top is the flow that is next to lose an item; nil if there is none.
func (h *heap[T]) top() *flow[T] {
	if len(h.flows) == 0 {
		return nil
	}
	return h.flows[0]
}

func (h *heap[T]) push(f *flow[T]) {
	f.place = len(h.flows)
	h.flows = append(h.flows, f)
	h.up(f.place)
}

func (h *heap[T]) remove(f *flow[T]) {
	i, last := f.place, len(h.flows)-1
	h.swap(i, last)
	h.flows[last] = nil
	h.flows = h.flows[:last]
	if i < last {
		h.fix(h.flows[i])
	}
	if last == 0 && cap(h.flows) > keptFlows {
		h.flows = nil
	}
}

// fix moves a flow whose waiting items have changed.
func (h *heap[T]) fix(f *flow[T]) {
	h.up(f.place)
	h.down(f.place)
}

func (h *heap[T]) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !before(h.flows[i], h.flows[parent]) {
			return
		}
		h.swap(i, parent)
		i = parent
	}
}

func (h *heap[T]) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(h.flows) {
			return
		}
		if right := child + 1; right < len(h.flows) && before(h.flows[right], h.flows[child]) {
			child = right
		}
		if !before(h.flows[child], h.flows[i]) {
			return
		}
		h.swap(i, child)
		i = child
	}
}

func (h *heap[T]) swap(i, j int) {
	h.flows[i], h.flows[j] = h.flows[j], h.flows[i]
	h.flows[i].place, h.flows[j].place = i, j
}
