package facts

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestChoose(t *testing.T) {
	gpus, _ := Find("gpus")
	got, err := gpus.Choose([]string{"util", " node", "util_percent"})
	if err != nil || len(got) != 2 || gpus.Columns[got[0]].Name != "util_percent" || gpus.Columns[got[1]].Name != "node" {
		t.Errorf("%v %v", got, err)
	}
	var wrong *FieldError
	for _, f := range []func() error{
		func() error { _, err := gpus.Choose([]string{"node", "utl"}); return err },
		func() error { _, err := gpus.Orders([]string{"node", "-utl"}); return err },
	} {
		if err := f(); !errors.As(err, &wrong) || err.Error() != "gpus have no field utl: did you mean util?" {
			t.Errorf("%v", err)
		}
	}
}

func TestSort(t *testing.T) {
	v := View{Columns: []Column{{Name: "a"}, {Name: "b"}}}
	at := start()
	for _, c := range []struct {
		by   []string
		rows []Row
		want []Row
	}{
		{[]string{"a"}, []Row{{3, 1}, {nil, 2}, {1, 3}}, []Row{{1, 3}, {3, 1}, {nil, 2}}},
		{[]string{"-a"}, []Row{{1, 1}, {nil, 2}, {3, 3}}, []Row{{3, 3}, {1, 1}, {nil, 2}}},
		{[]string{"a", "-b"}, []Row{{"x", 1}, {"x", 2}, {"B", 0}}, []Row{{"B", 0}, {"x", 2}, {"x", 1}}},
		{[]string{"a"}, []Row{{0.5, 0}, {uint64(0), 0}, {0.25, 0}}, []Row{{uint64(0), 0}, {0.25, 0}, {0.5, 0}}},
		{[]string{"a"}, []Row{{"x[10]", 0}, {"x[2]", 0}}, []Row{{"x[2]", 0}, {"x[10]", 0}}},
		{[]string{"-a"}, []Row{{false, 0}, {true, 0}}, []Row{{true, 0}, {false, 0}}},
		{[]string{"a"}, []Row{{at.Add(time.Second), 0}, {at, 0}}, []Row{{at, 0}, {at.Add(time.Second), 0}}},
		{[]string{"a"}, []Row{{nil, 2}, {nil, 1}}, []Row{{nil, 2}, {nil, 1}}}, // as they were
		{[]string{"a", "b"}, []Row{{nil, 2}, {nil, 1}}, []Row{{nil, 1}, {nil, 2}}},
	} {
		by, err := v.Orders(c.by)
		if err != nil {
			t.Fatal(err)
		}
		Sort(c.rows, by)
		if d := cmp.Diff(c.want, c.rows); d != "" {
			t.Errorf("%v: %s", c.by, d)
		}
	}
}
