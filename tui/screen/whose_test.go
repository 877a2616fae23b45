package screen

import "testing"

func TestNamesApart(t *testing.T) {
	for _, c := range []struct {
		names []string
		want  int
	}{
		{nil, 0},
		{[]string{"lab"}, 3},
		{[]string{"prod-eu-1", "prod-eu-2"}, 9},
		{[]string{"a-cluster-of-which-the-name-is-long", "lab"}, mostLabel},
		{[]string{"production-in-the-north-of-europe-1", "production-in-the-north-of-europe-2"}, 35},
		{[]string{"production-in-the-north-1-of-europe", "production-in-the-north-2-of-europe"}, 26},
	} {
		if got := apart(c.names); got != c.want {
			t.Errorf("%q: %d cells, want %d", c.names, got, c.want)
		}
	}
}
