package procfs

// ReadTree looks at a process and at all that it has started: a proxy with its workers, and the server behind it.
func ReadTree(pid int) (Sample, error) {
	sum, err := Read(pid)
	if err != nil {
		return sum, err
	}
	for _, child := range Children(pid) {
		of, err := ReadTree(child)
		if err != nil {
			continue // it has ended
		}
		sum = sum.Plus(of)
	}
	return sum, nil
}
