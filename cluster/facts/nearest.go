package facts

// Nearest is the name that was probably meant: the first of those that differ
// least, in at most a third of the characters; empty when none does.
func Nearest(typo string, names []string) string {
	best, at := "", 0
	for _, name := range names {
		third := (max(len(typo), len(name)) + 1) / 3 // rounded
		if d := distance(typo, name); d <= third && (best == "" || d < at) {
			best, at = name, d
		}
	}
	return best
}

// distance counts the characters to add, drop, change or swap with their
// neighbour to make b of a.
func distance(a, b string) int {
	two, one := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range one {
		one[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			row[j] = min(one[j]+1, row[j-1]+1, one[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], two[j-2]+1)
			}
		}
		two, one = one, row
	}
	return one[len(b)]
}
