package cluster

import (
	"reflect"
	"slices"
)

// table holds the rows of one kind by identity and applies changes in any
// order: a row older than the one held is dropped, so duplicates and late
// events are harmless.
type table[K comparable, V any] struct {
	rows  map[K]*V
	gone  map[K]uint64 // index at which a row went away: an older event must not revive it
	floor uint64       // index of the newest whole list: what it lacked was gone by then
	key   func(*V) K
	index func(*V) uint64
	order func(a, b *V) int

	sorted  []V
	at      map[K]int
	moved   map[K]struct{} // rows that came, went or changed places since all was asked
	changed map[K]struct{} // rows that changed where they are
	// heard is told of each row that came, changed (old is set) or went (now is
	// nil); nil where nobody listens.
	heard func(old, now *V)
	// rev counts changes and places arrangements, so that joins can be kept
	// while nothing that they depend on changed.
	rev, places int
}

func newTable[K comparable, V any](key func(*V) K, index func(*V) uint64, order func(a, b *V) int) *table[K, V] {
	return &table[K, V]{
		rows: map[K]*V{}, gone: map[K]uint64{}, moved: map[K]struct{}{}, changed: map[K]struct{}{},
		key: key, index: index, order: order,
	}
}

// put applies one row. It returns the row that it replaced, nil if there was
// none, and whether it was applied. A listed row is the server's last word: it
// also replaces one of the same index.
func (t *table[K, V]) put(row *V, listed bool) (old *V, applied bool) {
	k, idx := t.key(row), t.index(row)
	old = t.rows[k]
	switch {
	case old != nil:
		was := t.index(old)
		if was > idx || was == idx && !listed {
			return old, false
		}
		if was == idx && reflect.DeepEqual(old, row) {
			return old, false // nothing new, so nothing more to hold
		}
	case idx > 0 && (idx <= t.gone[k] || idx <= t.floor && !listed):
		return nil, false
	}
	delete(t.gone, k)
	held := *row // the caller keeps its own
	t.rows[k] = &held
	t.rev++
	t.tell(old, &held)
	if old == nil || t.order(old, &held) != 0 {
		t.moved[k] = struct{}{}
	} else {
		t.changed[k] = struct{}{}
	}
	return old, true
}

// amend adds to a row what it was told without; its index and place stay, and
// so does rev: nothing that is joined may depend on it.
func (t *table[K, V]) amend(k K, add func(*V)) {
	old := t.rows[k]
	if old == nil {
		return
	}
	now := *old
	add(&now)
	t.rows[k] = &now
	t.changed[k] = struct{}{}
}

// drop forgets a row as of an index.
func (t *table[K, V]) drop(k K, idx uint64) {
	old := t.rows[k]
	if old != nil && idx > 0 && t.index(old) > idx {
		return
	}
	if old != nil {
		t.remove(k)
	}
	t.gone[k] = max(t.gone[k], idx)
}

// dropAll forgets the rows that are so, as of an index.
func (t *table[K, V]) dropAll(idx uint64, so func(*V) bool) {
	for k, r := range t.rows {
		if so(r) {
			t.drop(k, idx)
		}
	}
}

func (t *table[K, V]) remove(k K) {
	old := t.rows[k]
	delete(t.rows, k)
	t.moved[k] = struct{}{}
	t.rev++
	t.tell(old, nil)
}

func (t *table[K, V]) tell(old, now *V) {
	if t.heard != nil {
		t.heard(old, now)
	}
}

// begin prepares for a whole list of n rows, taken at idx, and says whether there
// are no others. An index that went back means that the servers began anew, from
// nothing or from a backup: what was known is of another life.
func (t *table[K, V]) begin(idx uint64, n int) (fresh bool) {
	if idx > 0 && idx < t.floor {
		for k := range t.rows {
			t.remove(k)
		}
		clear(t.gone)
		t.floor = 0
	}
	if len(t.rows) > 0 {
		return false
	}
	t.rows = make(map[K]*V, n)
	return true
}

// keep ends a whole list taken at idx: rows that are not in it and not newer are
// gone. Where it began fresh there are none.
func (t *table[K, V]) keep(rows []V, idx uint64, fresh bool) {
	if !fresh {
		t.removeBut(rows, idx)
	}
	for k, at := range t.gone {
		if at <= idx {
			delete(t.gone, k) // the floor says it for all of them
		}
	}
	t.floor = max(t.floor, idx)
}

// removeBut removes rows that are not listed and not newer than the list.
func (t *table[K, V]) removeBut(rows []V, idx uint64) {
	listed := make(map[K]struct{}, len(rows))
	for i := range rows {
		listed[t.key(&rows[i])] = struct{}{}
	}
	for k, r := range t.rows {
		if _, ok := listed[k]; !ok && t.index(r) <= idx {
			t.remove(k)
		}
	}
}

// all returns the rows in order, and where each is. Both are shared with
// snapshots and are never changed.
func (t *table[K, V]) all() ([]V, map[K]int) {
	switch {
	case t.at == nil || len(t.moved)+len(t.changed) > len(t.rows)/4:
		t.arrange()
	case len(t.moved) > 0:
		t.rearrange()
	case len(t.changed) > 0:
		t.sorted = slices.Clone(t.sorted)
		for k := range t.changed {
			t.sorted[t.at[k]] = *t.rows[k]
		}
	}
	clear(t.moved)
	clear(t.changed)
	return t.sorted, t.at
}

func (t *table[K, V]) arrange() {
	rows := make([]*V, 0, len(t.rows))
	for _, r := range t.rows {
		rows = append(rows, r)
	}
	slices.SortFunc(rows, t.order)
	t.place(rows)
}

// rearrange is arrange where few rows moved: the others are in order already.
func (t *table[K, V]) rearrange() {
	var moved []*V
	for k := range t.moved {
		if r := t.rows[k]; r != nil {
			moved = append(moved, r)
		}
	}
	slices.SortFunc(moved, t.order)
	rows := make([]*V, 0, len(t.rows))
	for i := range t.sorted {
		r := &t.sorted[i]
		k := t.key(r)
		if _, other := t.moved[k]; other {
			continue
		}
		if _, other := t.changed[k]; other {
			r = t.rows[k]
		}
		for len(moved) > 0 && t.order(moved[0], r) < 0 {
			rows, moved = append(rows, moved[0]), moved[1:]
		}
		rows = append(rows, r)
	}
	t.place(append(rows, moved...))
}

// place makes new memory of the rows, which are in order.
func (t *table[K, V]) place(rows []*V) {
	t.places++
	t.sorted = make([]V, len(rows))
	t.at = make(map[K]int, len(rows))
	for i, r := range rows {
		t.sorted[i] = *r
		k := t.key(r)
		t.at[k] = i
		t.rows[k] = &t.sorted[i] // so that a row that stays as it is is in memory once
	}
}
