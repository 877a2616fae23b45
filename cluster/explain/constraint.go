package explain

import (
	"cmp"
	"regexp"
	"strconv"
	"strings"

	"github.com/hashicorp/go-version"

	"stoker/cluster"
)

// The operators of Nomad that are no comparison of two values.
const (
	distinctHosts    = "distinct_hosts"
	distinctProperty = "distinct_property"
)

// answer is what a condition comes to: whether it is met cannot be told while
// what it speaks of was not read.
type answer int

const (
	no answer = iota
	yes
	unread
)

func met(ok bool) answer {
	if ok {
		return yes
	}
	return no
}

// value is a target of a constraint, resolved; found is false for one that the
// node does not have.
type value struct {
	text  string
	found bool
	plain bool // of a device: a text, even if it looks like a number
}

// checker keeps what was compiled: a constraint is asked of a thousand nodes.
type checker struct {
	units    []unit
	patterns map[string]*regexp.Regexp // nil for one that does not compile
	versions map[string]func(*version.Version) bool
}

func newChecker() *checker {
	return &checker{units: units(), patterns: map[string]*regexp.Regexp{}, versions: map[string]func(*version.Version) bool{}}
}

// node says whether a node meets a constraint. What distinct_hosts and
// distinct_property ask is answered elsewhere: it is about the other
// allocations of the job.
func (c *checker) node(con cluster.Constraint, n *cluster.Node) answer {
	if con.Operator == distinctHosts || con.Operator == distinctProperty {
		return yes
	}
	left, known := target(con.Left, n)
	right, also := target(con.Right, n)
	if !known || !also {
		return unread
	}
	return met(c.holds(con.Operator, left, right))
}

// target resolves one side of a constraint; known is false when it is about
// something that was not read of the node yet.
func target(text string, n *cluster.Node) (v value, known bool) {
	if !strings.HasPrefix(text, "${") {
		return value{text: text, found: true}, true
	}
	switch text {
	case "${node.unique.id}":
		return value{text: string(n.ID), found: true}, true
	case "${node.datacenter}":
		return value{text: n.Datacenter, found: true}, true
	case "${node.unique.name}":
		return value{text: n.Name, found: true}, true
	case "${node.class}":
		return value{text: n.Class, found: true}, true
	case "${node.pool}":
		return value{text: n.Pool, found: true}, true
	}
	attr, isAttr := inside(text, "${attr.")
	meta, isMeta := inside(text, "${meta.")
	switch {
	case !isAttr && !isMeta:
		return value{}, true // nothing that Nomad knows
	case n.Detail == nil:
		return value{}, false
	case isAttr:
		v.text, v.found = n.Detail.Attributes[attr]
	default:
		v.text, v.found = n.Detail.Meta[meta]
	}
	return v, true
}

func inside(text, prefix string) (string, bool) {
	name, ok := strings.CutPrefix(text, prefix)
	return strings.TrimSuffix(name, "}"), ok
}

// holds is Nomad's checkConstraint.
func (c *checker) holds(operator string, l, r value) bool {
	both := l.found && r.found
	switch operator {
	case "=", "==", "is":
		return both && l.text == r.text
	case "!=", "not":
		return l.text != r.text // a value that is not there is empty
	case "<", "<=", ">", ">=":
		return both && ordered(operator, l.text, r.text)
	case "is_set":
		return l.found
	case "is_not_set":
		return !l.found
	case "version":
		return both && c.version(l.text, r.text, false)
	case "semver":
		return both && c.version(l.text, r.text, true)
	case "regexp":
		return both && c.matches(l.text, r.text)
	case "set_contains", "set_contains_all":
		return both && containsAll(l.text, r.text)
	case "set_contains_any":
		return both && containsAny(l.text, r.text)
	}
	return false
}

// ordered compares as whole numbers, else as numbers, else as texts.
func ordered(operator, l, r string) bool {
	if a, err := strconv.ParseInt(l, 10, 64); err == nil {
		if b, err := strconv.ParseInt(r, 10, 64); err == nil {
			return order(operator, a, b)
		}
	}
	if a, err := strconv.ParseFloat(l, 64); err == nil {
		if b, err := strconv.ParseFloat(r, 64); err == nil {
			return order(operator, a, b)
		}
	}
	return order(operator, l, r)
}

func order[T cmp.Ordered](operator string, l, r T) bool {
	switch operator {
	case "<":
		return l < r
	case "<=":
		return l <= r
	case ">":
		return l > r
	case ">=":
		return l >= r
	}
	return false
}

func (c *checker) matches(text, pattern string) bool {
	re, seen := c.patterns[pattern]
	if !seen {
		re, _ = regexp.Compile(pattern) // one that does not compile matches nothing
		c.patterns[pattern] = re
	}
	return re != nil && re.MatchString(text)
}

// version checks a version against conditions such as ">= 1.2, < 2".
func (c *checker) version(text, conditions string, strict bool) bool {
	v, err := version.NewVersion(text)
	if err != nil {
		return false
	}
	key := "version " + conditions
	if strict {
		key = "semver " + conditions
	}
	check, seen := c.versions[key]
	if !seen {
		if check = loosely(conditions); strict {
			check = strictly(conditions)
		}
		c.versions[key] = check
	}
	return check(v)
}

func never(*version.Version) bool { return false }

func loosely(conditions string) func(*version.Version) bool {
	all, err := version.NewConstraint(conditions)
	if err != nil {
		return never
	}
	return all.Check
}

// strictly is the operator semver: versions of the form of Semver 2.0 only,
// ordered as it says, pre-releases included.
func strictly(conditions string) func(*version.Version) bool {
	var all []func(*version.Version) bool
	for one := range strings.SplitSeq(conditions, ",") {
		one = strings.TrimSpace(one)
		operator := one[:len(one)-len(strings.TrimLeft(one, "=!<>"))]
		than, err := version.NewSemver(strings.TrimSpace(one[len(operator):]))
		if err != nil {
			return never
		}
		check := compared(operator, than)
		if check == nil {
			return never
		}
		all = append(all, check)
	}
	return func(v *version.Version) bool {
		for _, check := range all {
			if !check(v) {
				return false
			}
		}
		return true
	}
}

func compared(operator string, than *version.Version) func(*version.Version) bool {
	switch operator {
	case "", "=":
		return func(v *version.Version) bool { return v.Equal(than) }
	case "!=":
		return func(v *version.Version) bool { return !v.Equal(than) }
	case "<", "<=", ">", ">=":
		return func(v *version.Version) bool { return order(operator, v.Compare(than), 0) }
	}
	return nil
}

func containsAll(list, wanted string) bool {
	has := set(list)
	for one := range strings.SplitSeq(wanted, ",") {
		if !has[strings.TrimSpace(one)] {
			return false
		}
	}
	return true
}

func containsAny(list, wanted string) bool {
	has := set(list)
	for one := range strings.SplitSeq(wanted, ",") {
		if has[strings.TrimSpace(one)] {
			return true
		}
	}
	return false
}

func set(list string) map[string]bool {
	out := map[string]bool{}
	for one := range strings.SplitSeq(list, ",") {
		out[strings.TrimSpace(one)] = true
	}
	return out
}

// glob matches a datacenter against a pattern whose * stands for anything.
func glob(pattern, text string) bool {
	head, rest, starred := strings.Cut(pattern, "*")
	if !starred {
		return pattern == text
	}
	text, ok := strings.CutPrefix(text, head)
	if !ok {
		return false
	}
	parts := strings.Split(rest, "*")
	last := parts[len(parts)-1]
	for _, part := range parts[:len(parts)-1] {
		i := strings.Index(text, part)
		if i < 0 {
			return false
		}
		text = text[i+len(part):]
	}
	return strings.HasSuffix(text, last)
}
