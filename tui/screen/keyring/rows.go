package keyring

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"stoker/cluster"
	"stoker/secrets"
	"stoker/tui/screen"
	"stoker/tui/screen/parts"
	"stoker/tui/theme"
	"stoker/tui/ui"
)

func find(s *cluster.Snapshot, id keyID) *cluster.Key {
	for i := range s.Keys {
		if idOf(&s.Keys[i]) == id {
			return &s.Keys[i]
		}
	}
	return nil
}

// history reports keys that are not read now: Vault does not answer, or is sealed.
func history(v *secrets.State) bool {
	return v != nil && (v.Err != "" || v.Sealed && len(v.Keys) > 0)
}

func columns(e *screen.Env) []ui.Column[cluster.Key] {
	th := e.Theme
	type K = cluster.Key
	return []ui.Column[K]{
		{Name: "key", Title: "KEY", Min: 14, Max: 40, Cell: func(k *K) ui.Cell { return ui.Txt(k.Name) }, By: func(r *K) ui.Key { return ui.ByText(r.Name) }},
		{Name: "state", Title: "STATE", Min: 12, Max: 14, Cell: func(k *K) ui.Cell { return state(th, k) }, By: func(r *K) ui.Key { return ui.ByText(state(th, r).Text) }},
		{Name: "latest_version", Title: "LATEST", Min: 6, Align: ui.Right, Cell: func(k *K) ui.Cell { return ui.Txt(fmt.Sprintf("v%d", k.Latest)) }, By: func(r *K) ui.Key { return ui.By(r.Latest) }, Desc: true},
		{Name: "latest_created", Title: "AGE", Min: 4, Align: ui.Right, Cell: func(k *K) ui.Cell { return ui.Txt(ui.Age(latest(k), e.Now())) }, By: func(r *K) ui.Key { return ui.ByAge(latest(r)) }, Desc: true},
		{Name: "min_decryption_version", Title: "OPENS FROM", Min: 10, Align: ui.Right, Drop: 3, Cell: func(k *K) ui.Cell { return ui.Txt(fmt.Sprintf("v%d", max(k.MinDecryption, 1))) }},
		{Name: "artifacts", Title: "ARTIFACTS", Min: 9, Align: ui.Right, Cell: func(k *K) ui.Cell { return ui.Txt(ui.Int(len(k.Artifacts))) }, By: func(r *K) ui.Key { return ui.By(len(r.Artifacts)) }, Desc: true},
		{Name: "type", Title: "TYPE", Min: 12, Max: 18, Drop: 2, Cell: func(k *K) ui.Cell { return ui.In(th.Muted, k.Type) }, By: func(r *K) ui.Key { return ui.ByText(r.Type) }},
		{Name: "warnings", Title: "WARNINGS", Min: 12, Max: 40, Drop: 1, Cell: func(k *K) ui.Cell {
			if w := warnings(k); len(w) > 0 {
				return ui.In(th.Warn, strings.Join(w, ", "))
			}
			return ui.In(th.Faint, "none")
		}},
		{Name: "used_by", Title: "OPENS", Min: 24, Max: 70, Drop: 4, Cell: func(k *K) ui.Cell { return ui.In(th.Muted, opens(k)) }},
	}
}

// latest is when the latest version was made; zero when Vault does not say.
func latest(k *cluster.Key) time.Time {
	for _, v := range k.Versions {
		if v.Version == k.Latest {
			return v.Created
		}
	}
	return time.Time{}
}

// closed counts the artifacts under versions that no longer open.
func closed(k *cluster.Key) int {
	n := 0
	for i := range k.Artifacts {
		if isClosed(k, &k.Artifacts[i]) {
			n++
		}
	}
	return n
}

func isClosed(k *cluster.Key, a *cluster.Artifact) bool {
	return a.KeyVersion > 0 && a.KeyVersion < k.MinDecryption
}

func isStale(k *cluster.Key, a *cluster.Artifact) bool {
	return a.KeyVersion > 0 && a.KeyVersion < k.Latest
}

func state(th *theme.Theme, k *cluster.Key) ui.Cell {
	switch n := closed(k); {
	case n > 0:
		return ui.In(th.Bad, fmt.Sprintf("%s %d lost", th.G.Bad, n))
	case k.Stale > 0:
		return ui.In(th.Warn, fmt.Sprintf("%s %d stale", th.G.Warn, k.Stale))
	case len(k.Artifacts) == 0:
		return ui.In(th.Muted, th.G.Off+" unused")
	}
	return ui.In(th.OK, th.G.OK+" current")
}

// warnings is what makes a key weaker than it should be.
func warnings(k *cluster.Key) []string {
	var out []string
	if k.Exportable {
		out = append(out, "exportable")
	}
	if k.DeletionAllowed {
		out = append(out, "deletable")
	}
	if !k.Derived {
		out = append(out, "not derived")
	}
	return out
}

// opens names the artifacts by model, "llm-chat:v12 v13 v14".
func opens(k *cluster.Key) string {
	var out []string
	last := ""
	for _, a := range sorted(k) {
		if a.Model != last {
			out = append(out, a.Model+":"+a.Version)
			last = a.Model
		} else {
			out[len(out)-1] += " " + a.Version
		}
	}
	return cmp.Or(strings.Join(out, ", "), "nothing yet")
}

// sorted is the artifacts by model, the newest last.
func sorted(k *cluster.Key) []cluster.Artifact {
	out := slices.Clone(k.Artifacts)
	slices.SortStableFunc(out, func(a, b cluster.Artifact) int {
		return cmp.Or(cmp.Compare(a.Model, b.Model), a.Created.Compare(b.Created), cmp.Compare(a.Version, b.Version))
	})
	return out
}

// vaultLines is Vault itself: its state, where it is, and the token.
func vaultLines(e *screen.Env, s *cluster.Snapshot, name string, w int) []string {
	th, now, v := e.Theme, e.Now(), s.Vault
	if v == nil {
		return noVault(e, s, name, w)
	}
	st := th.OK.Render(th.G.OK + " open")
	switch {
	case v.At.IsZero():
		st = th.Bad.Render(th.G.Bad + " no answer")
	case v.Err != "":
		st = th.Warn.Render(th.G.Warn + " no answer for " + ui.Age(v.At, now))
	case !v.Initialised:
		st = th.Bad.Render(th.G.Bad + " not initialised")
	case v.Sealed:
		st = th.Bad.Render(th.G.Bad + " sealed")
	case v.Standby:
		st = th.OK.Render(th.G.OK+" open") + th.Muted.Render(", standby")
	}
	fact := func(name, value string) string {
		if value == "" {
			return ""
		}
		return th.Muted.Render(name+" ") + ui.Clean(value)
	}
	segs := []ui.Seg{
		{Text: th.Title.Render(name) + " " + st},
		{Text: ui.Clean(v.Address)},
		{Text: fact("version", v.Version), Drop: 4},
		{Text: fact("cluster", v.Cluster), Drop: 5},
		{Text: token(th, v, now), Drop: 1},
	}
	if v.Sealed && len(v.Keys) > 0 {
		segs = append(segs, ui.Seg{Text: th.Warn.Render("keys read " + ui.Ago(v.KeysAt, now))})
	}
	if v.Err == "" {
		segs = append(segs, ui.Seg{Text: th.Muted.Render("read " + ui.Ago(v.At, now)), Drop: 3})
	}
	out := []string{"  " + ui.Segs(segs, 3, w-3)}
	if v.Err != "" {
		text := v.Err
		if v.Hint != "" {
			text += "; " + v.Hint
		}
		if left := v.Retry.Sub(now); !v.Retry.IsZero() && left > 0 {
			text += fmt.Sprintf("; next try in %s", ui.Dur(max(left, time.Second)))
		}
		for _, l := range ui.Wrap(ui.Clean(text), max(w-6, 1)) {
			out = append(out, "  "+th.Bad.Render(strings.TrimRight(l, " ")))
		}
	}
	return out
}

// noVault says why nothing is known of Vault.
func noVault(e *screen.Env, s *cluster.Snapshot, name string, w int) []string {
	text := "no Vault is configured: set VAULT_ADDR, or vault.address in the context"
	if src := s.Source("vault"); src != nil && src.State != cluster.SourceOff {
		text = screen.Trouble(src, e.Now())
	} else if src == nil {
		text = "nothing known of Vault yet"
	}
	if name != "vault" { // one of several
		text = name + ": " + text
	}
	var out []string
	for _, l := range ui.Wrap(text, max(w-4, 1)) {
		out = append(out, "  "+e.Theme.Muted.Render(strings.TrimRight(l, " ")))
	}
	return out
}

// soonFor is how long before its end a token is shown in the colour of a warning.
const soonFor = 30 * time.Minute

func token(th *theme.Theme, v *secrets.State, now time.Time) string {
	name := th.Muted.Render("token ") + ui.Clean(cmp.Or(v.TokenName, "without a name"))
	switch {
	case !v.TokenKnown:
		return th.Muted.Render("token ") + th.Unknown.Render("unknown")
	case v.TokenExpires == nil:
		return name + th.Muted.Render(", never expires")
	case !v.TokenExpires.After(now):
		return name + ", " + th.Bad.Render("expired")
	}
	left := v.TokenExpires.Sub(now)
	text := "expires in " + ui.Dur(left)
	if left < soonFor {
		return name + ", " + th.Warn.Render(text)
	}
	return name + th.Muted.Render(", "+text)
}

// denied lists what the token may not read.
func denied(e *screen.Env, s *cluster.Snapshot, w int) []string {
	if s.Vault == nil || len(s.Vault.Denied) == 0 {
		return nil
	}
	th := e.Theme
	out := []string{"", parts.Title(th, "MAY NOT BE READ", "the list above may be short of these")}
	for _, d := range s.Vault.Denied {
		text := th.Warn.Render(th.G.Warn) + " " + ui.Clean(d.Path)
		if d.Capability != "" {
			text += th.Muted.Render("   wants ") + ui.Clean(d.Capability)
		}
		if d.Reason != "" {
			text += th.Muted.Render("   " + ui.Clean(d.Reason))
		}
		out = append(out, ui.Fit("  "+text, w))
	}
	return out
}
