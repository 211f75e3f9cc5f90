package scim

import "slices"

// Order says in which order the operations are to be done: each with what it
// refers to before it, and otherwise as they were sent. Only creations that
// something before them refers to are brought forward, so that what is done to
// resources that exist keeps its order (RFC 7644 §3.7). Creations that refer to
// one another in a circle come together, as one element (§3.7.1).
//
// Who refers to a bulkId that no creation has is ordered as if it did not.
func (b Bulk) Order() [][]int {
	o := ordering{
		edges: b.edges(),
		seen:  make([]int, len(b.Operations)),
		low:   make([]int, len(b.Operations)),
		open:  make([]bool, len(b.Operations)),
	}
	for i := range b.Operations {
		if o.seen[i] == 0 {
			o.visit(i)
		}
	}
	return o.order
}

// Creations maps the bulkIds that may be referred to to the operations that
// create: those with method POST.
func (b Bulk) Creations() map[string]int {
	at := make(map[string]int, len(b.Operations))
	for i, op := range b.Operations {
		if op.Method == "POST" && op.BulkID != "" {
			at[op.BulkID] = i
		}
	}
	return at
}

// edges lists for each operation the creations that it refers to.
func (b Bulk) edges() [][]int {
	creations := b.Creations()
	edges := make([][]int, len(b.Operations))
	for i, op := range b.Operations {
		for _, id := range op.refers {
			if j, ok := creations[id]; ok {
				edges[i] = append(edges[i], j)
			}
		}
		slices.Sort(edges[i])
	}
	return edges
}

// ordering finds strongly connected components, each after those that it
// refers to (Tarjan, Depth-first search and linear graph algorithms, 1972).
type ordering struct {
	edges [][]int
	order [][]int

	count int
	seen  []int // when an operation was first visited; 0: not yet
	low   []int // the earliest that is reached from it and still open
	open  []bool
	stack []int
}

// visit goes no deeper than there are operations.
func (o *ordering) visit(i int) {
	o.count++
	o.seen[i], o.low[i] = o.count, o.count
	o.stack, o.open[i] = append(o.stack, i), true
	for _, j := range o.edges[i] {
		if o.seen[j] == 0 {
			o.visit(j)
			o.low[i] = min(o.low[i], o.low[j])
		} else if o.open[j] {
			o.low[i] = min(o.low[i], o.seen[j])
		}
	}
	if o.low[i] == o.seen[i] {
		o.close(i)
	}
}

// close takes what was opened since i, and i itself, as one element.
func (o *ordering) close(i int) {
	at := slices.Index(o.stack, i)
	together := slices.Clone(o.stack[at:])
	o.stack = o.stack[:at]
	for _, j := range together {
		o.open[j] = false
	}
	slices.Sort(together)
	o.order = append(o.order, together)
}
