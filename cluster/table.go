package cluster

import "slices"

// table holds the rows of one kind by identity and applies changes in any
// order: a row older than the one held is dropped, so duplicates and late
// events are harmless.
type table[K comparable, V any] struct {
	rows  map[K]V
	gone  map[K]uint64 // index at which a row went away: an older event must not revive it
	key   func(*V) K
	index func(*V) uint64
	order func(a, b V) int

	sorted []V
	at     map[K]int
	dirty  bool
}

func newTable[K comparable, V any](key func(*V) K, index func(*V) uint64, order func(a, b V) int) *table[K, V] {
	return &table[K, V]{rows: map[K]V{}, gone: map[K]uint64{}, key: key, index: index, order: order, dirty: true}
}

// put applies one row. It returns the row that it replaced, and whether it did.
func (t *table[K, V]) put(row V) (old V, had, applied bool) {
	k, idx := t.key(&row), t.index(&row)
	old, had = t.rows[k]
	if had && t.index(&old) >= idx || !had && t.gone[k] >= idx && idx > 0 {
		return old, had, false
	}
	delete(t.gone, k)
	t.rows[k] = row
	t.dirty = true
	return old, had, true
}

// drop forgets a row as of an index.
func (t *table[K, V]) drop(k K, idx uint64) {
	old, ok := t.rows[k]
	if ok && idx > 0 && t.index(&old) > idx {
		return
	}
	if ok {
		delete(t.rows, k)
		t.dirty = true
	}
	t.gone[k] = idx
}

// list applies a whole list taken at idx: rows that are not in it and not newer are gone.
func (t *table[K, V]) list(rows []V, idx uint64) {
	seen := make(map[K]bool, len(rows))
	for _, r := range rows {
		seen[t.key(&r)] = true
		t.put(r)
	}
	for k, r := range t.rows {
		if !seen[k] && t.index(&r) <= idx {
			delete(t.rows, k)
			t.dirty = true
		}
	}
	t.gone = map[K]uint64{} // the list is newer than any of them
}

// all returns the rows in order. The slice is shared and must not be changed.
func (t *table[K, V]) all() []V {
	if t.dirty {
		t.sorted = make([]V, 0, len(t.rows))
		for _, r := range t.rows {
			t.sorted = append(t.sorted, r)
		}
		slices.SortFunc(t.sorted, t.order)
		t.at = make(map[K]int, len(t.sorted))
		for i := range t.sorted {
			t.at[t.key(&t.sorted[i])] = i
		}
		t.dirty = false
	}
	return t.sorted
}
