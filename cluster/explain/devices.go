package explain

import (
	"fmt"
	"slices"
	"strings"

	"stoker/cluster"
	"stoker/gpu"
)

// devices finds GPUs for all that the group asks for. As in Nomad there are two
// questions: whether what works on the node would do if it were free, where the
// GPUs of one block may be of several models; and whether enough are free, where
// they must be of one.
func (w *world) devices(h *host, a *ask) (*Reason, placed) {
	asks := a.group.GPUs
	if len(asks) == 0 {
		return nil, nil
	}
	piles := h.piles
	if r := w.lacking(h, piles, asks); r != nil {
		return r, nil
	}
	free := make([][]gpu.UUID, len(piles))
	for i := range piles {
		free[i] = piles[i].free
	}
	if where, ok := w.assign(piles, free, asks); ok {
		return nil, where
	}
	return w.short(h, piles, free, asks), nil
}

// lacking is Nomad's DeviceChecker.
func (w *world) lacking(h *host, piles []pile, asks []cluster.GPUAsk) *Reason {
	left := make([]int, len(piles))
	for i := range piles {
		left[i] = len(piles[i].healthy)
	}
	for i := range asks {
		need := asks[i].Count
		for k := range piles {
			if left[k] == 0 || !w.fitsPile(&asks[i], &piles[k]) {
				continue
			}
			take := min(left[k], need)
			left[k], need = left[k]-take, need-take
			if need == 0 {
				break
			}
		}
		if need > 0 {
			return w.lack(h, piles, &asks[i])
		}
	}
	return nil
}

// lack says why what a node has can never do.
func (w *world) lack(h *host, piles []pile, ask *cluster.GPUAsk) *Reason {
	r := &Reason{Kind: Devices, What: askedModel(ask), Want: ask.Count}
	var models []string
	var named, fit *pile
	for i := range piles {
		p := &piles[i]
		models = append(models, p.model)
		if !selects(ask, p) {
			continue
		}
		named = p
		if w.fitsPile(ask, p) {
			fit = p
			r.Total, r.Free = r.Total+len(p.all), r.Free+len(p.healthy)
			r.Failed, r.Sick = r.Failed+len(p.failed), append(r.Sick, p.failed...)
		}
	}
	_, profile, mig := strings.Cut(r.What, " MIG ")
	switch {
	case len(piles) == 0:
		r.Value = "no GPUs"
	case named == nil && mig:
		r.Value = fmt.Sprintf("no MIG instance %s: it has %s", profile, strings.Join(models, ", "))
	case named == nil:
		r.Value = "other model: " + strings.Join(models, ", ")
	case fit == nil:
		r.Unmet = w.unmet(ask, named)
		r.Value = "device constraint " + r.Unmet
	case r.Failed > 0:
		r.Value = fmt.Sprintf("%d of this model failed, %d work: %d wanted", r.Failed, r.Free, r.Want)
	default:
		r.Value = fmt.Sprintf("it has %d of this model: %d wanted", r.Total, r.Want)
	}
	return r
}

func askedModel(ask *cluster.GPUAsk) string {
	if parts := strings.SplitN(ask.Name, "/", 3); len(parts) == 3 {
		return parts[2]
	}
	return ""
}

// assign gives each block of devices the free ones of one model.
func (w *world) assign(piles []pile, free [][]gpu.UUID, asks []cluster.GPUAsk) (placed, bool) {
	if len(asks) == 0 {
		return nil, true
	}
	for k := range piles {
		if asks[0].Count < 1 || !w.fitsPile(&asks[0], &piles[k]) {
			continue
		}
		can := w.assignable(&asks[0], &piles[k], free[k])
		if len(can) < asks[0].Count {
			continue
		}
		mine := can[:asks[0].Count]
		rest := slices.Clone(free)
		rest[k] = slices.DeleteFunc(slices.Clone(free[k]), func(id gpu.UUID) bool { return slices.Contains(mine, id) })
		if others, ok := w.assign(piles, rest, asks[1:]); ok {
			return append(slices.Clone(mine), others...), true
		}
	}
	return nil, false
}

// short says of which block not enough are free, and who has the rest: of the
// model of which the most are.
func (w *world) short(h *host, piles []pile, free [][]gpu.UUID, asks []cluster.GPUAsk) *Reason {
	free = slices.Clone(free)
	for i := range asks {
		best, most := -1, -1
		for k := range piles {
			if !w.fitsPile(&asks[i], &piles[k]) {
				continue
			}
			if n := len(w.assignable(&asks[i], &piles[k], free[k])); n > most {
				best, most = k, n
			}
		}
		if best < 0 {
			continue // lacking said so
		}
		if most >= asks[i].Count && asks[i].Count > 0 {
			mine := w.assignable(&asks[i], &piles[best], free[best])[:asks[i].Count]
			free[best] = slices.DeleteFunc(slices.Clone(free[best]), func(id gpu.UUID) bool { return slices.Contains(mine, id) })
			continue
		}
		p := &piles[best]
		return &Reason{
			Kind: GPUs, What: p.model, Want: asks[i].Count, Free: most, Total: len(p.all), Failed: len(p.failed), Sick: p.failed,
			Holders: w.holders(h, p.healthy),
		}
	}
	return &Reason{Kind: GPUs, What: "together", Want: asks[len(asks)-1].Count}
}

// selects reports whether the selector of an ask names the devices of a pile.
func selects(ask *cluster.GPUAsk, p *pile) bool {
	parts := strings.SplitN(ask.Name, "/", 3)
	return ask.Takes(p.model) && (len(parts) < 2 || p.vendor == "" || parts[0] == p.vendor)
}

func (w *world) fitsPile(ask *cluster.GPUAsk, p *pile) bool {
	return selects(ask, p) && w.unmet(ask, p) == ""
}

// unmet is the first constraint of an ask that the devices of a pile do not meet.
func (w *world) unmet(ask *cluster.GPUAsk, p *pile) string {
	for _, c := range ask.Constraints {
		if !w.check.holdsOfDevice(c.Operator, deviceTarget(c.Left, p), deviceTarget(c.Right, p)) {
			return c.String()
		}
	}
	return ""
}

func deviceTarget(text string, p *pile) value {
	if !strings.HasPrefix(text, "${") {
		return value{text: text, found: true}
	}
	switch text {
	case "${device.ids}":
		ids := make([]string, len(p.all))
		for i, id := range p.all {
			ids[i] = string(id)
		}
		return value{text: strings.Join(ids, ","), found: true, plain: true}
	case "${device.model}":
		return value{text: p.model, found: true, plain: true}
	case "${device.vendor}":
		return value{text: p.vendor, found: true, plain: true}
	case "${device.type}":
		return value{text: "gpu", found: true, plain: true}
	}
	if name, ok := inside(text, "${device.attr."); ok {
		v, found := p.attributes[name]
		return value{text: v.Value, found: found, plain: v.Text}
	}
	return value{}
}

// assignable are those that the constraints on single devices leave.
func (w *world) assignable(ask *cluster.GPUAsk, p *pile, ids []gpu.UUID) []gpu.UUID {
	const theirs = "${device.ids}"
	if !slices.ContainsFunc(ask.Constraints, func(c cluster.Constraint) bool { return c.Left == theirs || c.Right == theirs }) {
		return ids
	}
	var out []gpu.UUID
	for _, id := range ids {
		if !slices.ContainsFunc(ask.Constraints, func(c cluster.Constraint) bool {
			other := c.Right
			if c.Left != theirs {
				other = c.Left
			}
			return (c.Left == theirs || c.Right == theirs) &&
				!w.check.holdsOfDevice(c.Operator, deviceTarget(other, p), value{text: string(id), found: true, plain: true})
		}) {
			out = append(out, id)
		}
	}
	return out
}
