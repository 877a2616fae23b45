package scenarios

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"stoker/cluster"
)

// do runs a step. Its error says why it did not pass.
func (r *run) do(ctx context.Context, st *Step, res *StepResult) error {
	if len(st.always)+len(st.eventual) == 0 && (st.Kind != KindRun || st.show == nil) {
		return r.dispatch(ctx, st, res)
	}
	sm := r.sample(ctx, st)
	err := r.dispatch(ctx, st, res)
	beside := sm.stop()
	r.checked(res, beside)
	if err != nil {
		return err
	}
	return verdictOf(beside)
}

func (r *run) dispatch(ctx context.Context, st *Step, res *StepResult) error {
	switch st.Kind {
	case KindRequire:
		return r.assert(ctx, st, res, dataFor, false)
	case KindAssert:
		if st.within > 0 {
			return r.assert(ctx, st, res, st.within, true)
		}
		return r.assert(ctx, st, res, dataFor, false)
	case KindWait:
		return r.wait(ctx, st, res)
	case KindRemember:
		return r.remember(ctx, st)
	case KindRun:
		return r.execute(ctx, st)
	}
	return r.change(ctx, st)
}

// judge evaluates a check.
func (c *check) judge(w *sight) (Verdict, []string) {
	t, why := c.cond.root.judge(w)
	switch t {
	case yes:
		return Passed, nil
	case no:
		return Failed, why
	}
	return Inconclusive, why
}

// explain is what became of a check, with the values that it saw.
func (c *check) explain(w *sight, when string) CheckResult {
	v, why := c.judge(w)
	out := CheckResult{Expr: c.cond.text, When: when, Verdict: v, Why: why, Values: c.cond.values(w, secret)}
	if c.text != nil && v != Passed {
		out.Text = c.text.describe(w)
	}
	return out
}

// assert judges the checks on snapshots until all hold in the same one. What
// is unknown is waited for; what is false is waited for only if patient.
func (r *run) assert(ctx context.Context, st *Step, res *StepResult, limit time.Duration, patient bool) error {
	var last *sight
	live := false
	for _, c := range st.checks {
		live = live || c.cond.live
	}
	sh := &shower{r: r, tmpl: st.show}
	err := r.watch(ctx, limit, func(s *cluster.Snapshot) bool {
		last = newSight(s, r.vars)
		sh.see(last)
		worst := Passed
		for i := range st.checks {
			if v, _ := st.checks[i].judge(last); worse(v, worst) {
				worst = v
			}
		}
		return worst == Passed || worst == Failed && !patient || !live
	})
	var results []CheckResult
	for i := range st.checks {
		results = append(results, st.checks[i].explain(last, string(st.Kind)))
	}
	r.checked(res, results)
	if err != nil && !errors.Is(err, errLimit) {
		return err
	}
	return verdictOf(results)
}

func worst(list []CheckResult) Verdict {
	v := Passed
	for _, c := range list {
		if worse(c.Verdict, v) {
			v = c.Verdict
		}
	}
	return v
}

// checked puts the results into the report and tells the observer.
func (r *run) checked(res *StepResult, list []CheckResult) {
	for i := range list {
		res.Checks = append(res.Checks, list[i])
		r.emit(Event{Kind: Checked, Check: &list[i]})
	}
}

// verdictOf is nil when all passed, else an error that names the first of the worst.
func verdictOf(list []CheckResult) error {
	v := worst(list)
	for _, c := range list {
		if c.Verdict != v || v == Passed {
			continue
		}
		kind := ErrFailed
		if v == Inconclusive {
			kind = ErrInconclusive
		}
		return fmt.Errorf("%w: %s", kind, c.summary())
	}
	return nil
}

// summary is one line for a check that did not hold.
func (c *CheckResult) summary() string {
	text := c.Text
	if text == "" {
		text = "not true: " + c.Expr
		switch {
		case c.Verdict == Inconclusive:
			text = "not known: " + c.Expr
		case c.When == "always":
			text = "not always true: " + c.Expr
		case c.When == "eventually":
			text = "never true: " + c.Expr
		}
	}
	var parts []string
	for _, v := range c.Values {
		parts = append(parts, cut(v.String(), maxRunes))
	}
	if c.Verdict == Inconclusive {
		parts = append(parts, c.Why...)
	}
	if len(parts) > 0 {
		text += " (" + strings.Join(parts, "; ") + ")"
	}
	return text
}

// wait follows snapshots until the condition is true.
func (r *run) wait(ctx context.Context, st *Step, res *StepResult) error {
	var last *sight
	gaveUp := false
	sh := &shower{r: r, tmpl: st.show}
	until, unless := check{cond: st.until}, check{cond: st.unless}
	err := r.watch(ctx, st.limit, func(s *cluster.Snapshot) bool {
		last = newSight(s, r.vars)
		sh.see(last)
		if v, _ := until.judge(last); v == Passed {
			return true
		}
		if st.unless != nil {
			v, _ := unless.judge(last)
			gaveUp = v == Passed
		}
		return gaveUp
	})
	if err != nil && !errors.Is(err, errLimit) {
		return err
	}
	out := until.explain(last, "wait")
	switch {
	case gaveUp:
		out = unless.explain(last, "unless")
		out.Verdict, out.Text = Failed, "given up: "+out.Expr
	case err != nil:
		out.Text = fmt.Sprintf("not within %s: %s", st.limit, out.Expr)
	}
	if out.Verdict != Passed && st.show != nil {
		out.Text += " [" + st.show.describe(last) + "]"
	}
	r.checked(res, []CheckResult{out})
	return verdictOf([]CheckResult{out})
}

// remember evaluates expressions for later steps.
func (r *run) remember(ctx context.Context, st *Step) error {
	for _, b := range st.remember {
		var v any
		err := r.known(ctx, func(w *sight) (err error) {
			v, err = w.run(b.value)
			switch {
			case len(w.late) > 0:
				return fmt.Errorf("%w: %s: %s", ErrInconclusive, b.name, strings.Join(w.late, "; "))
			case err != nil:
				return fmt.Errorf("%s: %s", b.name, plain(err))
			}
			return nil
		})
		if err != nil {
			return err
		}
		r.set(b.name, v)
		r.say("%s", cut(b.name+" = "+show(v, nil), maxRunes))
	}
	return nil
}

// set makes a new map: a sampler may still read the old one.
func (r *run) set(name string, v any) {
	vars := maps.Clone(r.vars)
	vars[name] = v
	r.vars = vars
}
