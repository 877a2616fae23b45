package facts

import (
	"slices"
	"testing"
)

func TestComplete(t *testing.T) {
	gpus, _ := Find("gpus")
	s := filled(t)
	values := func(column int) []string { return gpus.Values(s, column, 20) }
	for _, c := range []struct {
		head string
		from int
		want []string
	}{
		{"ut", 0, []string{"util"}},
		{"UT", 0, []string{"util"}},
		{"util", 0, nil},
		{"util_p", 0, []string{"util_percent"}},
		{"!hel", 1, []string{"held_by", "held", "held_by_alloc", "held_by_job", "held_by_namespace"}},
		{"util < 5 && he", 12, []string{"health", "held_by", "health_reason", "held", "held_by_alloc", "held_by_job", "held_by_namespace"}},
		{"util<5&&sta", 8, []string{"state"}},
		{"(sta", 1, []string{"state"}},
		{"äö sta", 3, []string{"state"}},
		{"gpu-a", 0, nil}, // a word
		{"nothing", 0, nil},
		{"", 0, nil},
		{"util < 5", 0, nil},
		{"state == ", 9, []string{`"free"`, `"held"`, `"watch"`}},
		{`state == "`, 9, []string{`"free"`, `"held"`, `"watch"`}},
		{`state == "h`, 9, []string{`"held"`}},
		{`state != "held" && ns == "de`, 25, []string{`"default"`}},
		{`state in ["free", "h`, 18, []string{`"held"`}},
		{"pool contains ", 14, []string{`"gpu"`}},
		{"state=", 6, []string{"free", "held", "watch"}},
		{"!state=h", 7, []string{"held"}},
		{"chat ns=d", 8, []string{"default"}},
		{"held=t", 5, []string{"true"}},
		{"held == ", 8, []string{"false", "true"}},
		{`node == "sta`, 8, nil}, // in a text no names
	} {
		got := gpus.Complete(c.head, values)
		if !slices.Equal(got.Options, c.want) || len(c.want) > 0 && got.From != c.from {
			t.Errorf("%q: %+v, want %v from %d", c.head, got, c.want, c.from)
		}
	}
	uuid, _ := gpus.Field("uuid")
	if got := gpus.Values(s, uuid, 2); got != nil {
		t.Errorf("too many to list: %v", got)
	}
}
