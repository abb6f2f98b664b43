// Package list is a doubly linked list whose nodes are parts of its elements: adding and removing allocate nothing and take
// the same few pointer writes however long the list is, and an element that is at hand is removed without looking for it.
//
// The elements are found by a pointer in each node, and not by a method that a type parameter requires: calling such a
// method makes adding and removing take 23 ns in place of 3.
package list

// Node is an element's place in a list: a field of the element. The zero value is in none.
type Node[T any] struct {
	next, prev *Node[T]
	list       *List[T] // nil while in none
	element    *T
}

// List is elements in the order in which they were added. The zero value is empty. It belongs to one goroutine at a time,
// with its nodes, and may not be copied unless it is empty.
type List[T any] struct {
	first, last *Node[T]
	n           int
}

// Len returns the number of elements.
func (l *List[T]) Len() int { return l.n }

// First returns the element that was added first, Last the one that was added last; nil if the list is empty.
func (l *List[T]) First() *T { return l.first.get() }
func (l *List[T]) Last() *T  { return l.last.get() }

// Next returns the element behind that of n in its list; nil if it is the last.
func (n *Node[T]) Next() *T { return n.next.get() }

// In reports whether the node is in a list.
func (n *Node[T]) In(l *List[T]) bool { return n.list == l }

// InAny reports whether the node is in any list.
func (n *Node[T]) InAny() bool { return n.list != nil }

func (n *Node[T]) get() *T {
	if n == nil {
		return nil
	}
	return n.element
}

// Append adds an element behind the others. Its node has to be in no list.
func (l *List[T]) Append(n *Node[T], element *T) {
	n.next, n.prev, n.list, n.element = nil, l.last, l, element
	if l.last == nil {
		l.first = n
	} else {
		l.last.next = n
	}
	l.last = n
	l.n++
}

// Remove takes the element of n out of its list; one that is in none does no harm.
func (n *Node[T]) Remove() {
	l := n.list
	if l == nil {
		return
	}
	if n.prev == nil {
		l.first = n.next
	} else {
		n.prev.next = n.next
	}
	if n.next == nil {
		l.last = n.prev
	} else {
		n.next.prev = n.prev
	}
	*n = Node[T]{}
	l.n--
}

// RemoveFirst takes the first element out and returns it; nil if the list is empty.
func (l *List[T]) RemoveFirst() *T {
	first := l.First()
	if first != nil {
		l.first.Remove()
	}
	return first
}
