package keyring

import (
	"fmt"
	"slices"

	"stoker/cluster"
	"stoker/secrets"
	"stoker/tui/screen"
	"stoker/tui/screen/parts"
	"stoker/tui/theme"
	"stoker/tui/ui"
)

// detail is one key: lines on top, then the artifacts that it opens.
type detail struct {
	parts.Detail
	id        keyID
	artifacts *ui.Table[sealed, secrets.URN]
	lines     []string
}

// sealed is an artifact with the key that it needs.
type sealed struct {
	cluster.Artifact
	key *cluster.Key
}

func newDetail(e *screen.Env, id keyID) *detail {
	d := &detail{id: id, artifacts: ui.NewTable(e.Theme, func(a *sealed) secrets.URN { return a.URN }, artifactColumns(e))}
	d.Detail = parts.NewDetail(e, d.artifacts, d.draw)
	return d
}

func (d *detail) draw() {
	th := d.Env.Theme
	k := find(d.Snap, d.id)
	if k == nil {
		d.lines = []string{"", "  " + th.Muted.Render("key "+ui.Clean(d.id.name)+" is not there any more, or may not be read; esc goes back")}
		d.artifacts.SetRows(nil)
		return
	}
	d.lines = append(d.facts(k), "")
	versions := d.versions(k)
	room := max(d.H-len(d.lines)-min(len(k.Artifacts)+2+digestLines, max(d.H/3, 4+digestLines)), 2)
	if len(versions) > room {
		more := len(versions) - room + 1
		versions = append(versions[:room-1:room-1], "  "+th.Faint.Render(fmt.Sprintf("and %d older versions", more)))
	}
	d.lines = append(append(d.lines, versions...), "")
	rows := make([]sealed, 0, len(k.Artifacts))
	for _, a := range sorted(k) {
		rows = append(rows, sealed{a, k})
	}
	slices.Reverse(rows) // the newest first
	d.artifacts.SetRows(rows)
	d.artifacts.SetSize(d.W, max(min(d.artifacts.All()+1, d.H-len(d.lines)-digestLines), 2))
}

// digestLines is the room for the whole digest of the artifact under the cursor.
const digestLines = 3

func (d *detail) facts(k *cluster.Key) []string {
	th := d.Env.Theme
	read := ""
	if v := d.Snap.Of(d.id.of).Vault; v != nil {
		read = "read " + ui.Ago(v.At, d.Env.Now())
	}
	flag := func(is bool, yes, no string, loud bool) parts.Fact {
		switch {
		case is && loud:
			return parts.Fact{Value: th.G.Warn + " " + yes, Style: th.Warn}
		case is:
			return parts.F("", yes)
		}
		return parts.F("", no)
	}
	out := []string{parts.Head(th, "key "+k.Name+screen.In(d.Snap, k.Place), state(th, k), k.Type, read, d.W)}
	out = append(out, parts.Facts(th, "rules", []parts.Fact{
		flag(!k.Derived, "not derived: nothing binds a wrapped key to its model", "derived: bound to one model", true),
		flag(k.Exportable, "exportable", "not exportable", true), flag(k.DeletionAllowed, "deletable", "not deletable", true),
	}, d.W)...)
	means := ""
	switch {
	case closed(k) > 0:
		means = fmt.Sprintf("versions below %d are closed: %s under them cannot be opened until the key's min_decryption_version is lowered", k.MinDecryption, ui.Count(closed(k), "artifact"))
	case k.Stale > 0:
		means = fmt.Sprintf("%s still open under an old version: rewrap or seal them anew before that version is closed", ui.Count(k.Stale, "artifact"))
	}
	return append(out, parts.Text(th, "means", means, th.Text, d.W, 2)...)
}

// versions lists the versions, the newest first, with how much each opens.
func (d *detail) versions(k *cluster.Key) []string {
	th, now := d.Env.Theme, d.Env.Now()
	under := map[int]int{}
	for i := range k.Artifacts {
		under[k.Artifacts[i].KeyVersion]++
	}
	var out []string
	for i := len(k.Versions) - 1; i >= 0; i-- {
		v := k.Versions[i]
		label := ""
		if len(out) == 0 {
			label = "versions"
		}
		what := parts.Fact{Value: "opens " + ui.Count(under[v.Version], "artifact"), Style: th.Muted}
		if under[v.Version] > 0 {
			what.Style = th.Text
		}
		word := parts.Fact{Value: "older", Style: th.Muted}
		switch {
		case v.Version < k.MinDecryption:
			word = parts.Fact{Value: "closed", Style: th.Bad}
		case v.Version == k.Latest:
			word = parts.Fact{Value: "latest", Style: th.OK}
		case under[v.Version] > 0:
			word = parts.Fact{Value: "still used", Style: th.Warn}
		}
		word.Value = ui.Fit(word.Value, 10)
		out = append(out, parts.Facts(th, label, []parts.Fact{
			{Value: ui.Fit(fmt.Sprintf("v%d", v.Version), 3), Style: th.Title},
			word,
			{Value: ui.FitRight(ui.Ago(v.Created, now), 8), Style: th.Muted},
			{Value: v.Created.In(now.Location()).Format("2006-01-02"), Style: th.Muted},
			what,
		}, d.W)...)
	}
	if len(out) == 0 {
		return parts.Facts(th, "versions", []parts.Fact{{Value: "may not be read", Style: th.Unknown}}, d.W)
	}
	return out
}

func artifactColumns(e *screen.Env) []ui.Column[sealed] {
	th := e.Theme
	type A = sealed
	return []ui.Column[A]{
		{Title: "ARTIFACT", Min: 20, Max: 44, Cell: func(a *A) ui.Cell { return ui.Txt(a.Model + ":" + a.Version) }, By: func(r *A) ui.Key { return ui.ByText(r.Model + "\x00" + r.Version) }},
		{Title: "UNDER", Min: 12, Cell: func(a *A) ui.Cell { return under(th, a) }, By: func(r *A) ui.Key { return ui.By(r.KeyVersion) }},
		{Title: "SIZE", Min: 9, Align: ui.Right, Cell: func(a *A) ui.Cell { return ui.Txt(ui.Bytes(uint64(max(a.Bytes, 0)))) }, By: func(r *A) ui.Key { return ui.By(r.Bytes) }, Desc: true},
		{Title: "SEALED", Min: 8, Align: ui.Right, Cell: func(a *A) ui.Cell { return ui.In(th.Muted, ui.Ago(a.Created, e.Now())) }, By: func(r *A) ui.Key { return ui.ByAge(r.Created) }},
		{Title: "TRAINED BY", Min: 14, Max: 30, Drop: 1, Cell: func(a *A) ui.Cell {
			if a.TrainedBy == (cluster.JobID{}) {
				return ui.In(th.Faint, ui.None)
			}
			return ui.In(th.Muted, a.TrainedBy.String())
		}},
		{Title: "DIGEST", Min: 71, Drop: 2, Cell: func(a *A) ui.Cell { return ui.In(th.Muted, a.Digest) }},
	}
}

// under is the version of the key, and what that means.
func under(th *theme.Theme, a *sealed) ui.Cell {
	v := fmt.Sprintf("v%d", a.KeyVersion)
	switch {
	case a.KeyVersion <= 0:
		return ui.In(th.Unknown, th.G.Unknown+" unknown")
	case isClosed(a.key, &a.Artifact):
		return ui.In(th.Bad, th.G.Bad+" "+v+" closed")
	case isStale(a.key, &a.Artifact):
		return ui.In(th.Warn, th.G.Warn+" "+v+" stale")
	}
	return ui.In(th.OK, th.G.OK+" "+v)
}

func (d *detail) view() string {
	lines := append([]string(nil), d.lines...)
	if d.artifacts.All() > 0 {
		lines = append(lines, d.artifacts.ViewLines(true)...)
		if a := d.artifacts.Selected(); a != nil {
			lines = append(append(lines, ""), parts.Text(d.Env.Theme, "digest", a.Digest, d.Env.Theme.Text, d.W, digestLines-1)...)
		}
	} else if find(d.Snap, d.id) != nil {
		lines = append(lines, "  "+d.Env.Theme.Muted.Render("no registered artifact is sealed under this key"))
	}
	return ui.Block(lines, d.W, d.H)
}
