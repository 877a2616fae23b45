package explain

import (
	"math/big"
	"strconv"
	"strings"
	"unicode"
)

// attribute is a property of a device: a text, a truth, or a number that may
// have a unit. Two are compared only if they are of one kind.
type attribute struct {
	text   *string
	truth  *bool
	number *big.Rat // in the base of its unit
	base   string   // "" for a bare number
}

// unit is what a number is multiplied by to be in its base.
type unit struct {
	name, base string
	times      *big.Rat
}

// units are those of Nomad's device attributes, the longest name first, so that
// "40 GiB/s" is not read as bytes.
func units() []unit {
	var out []unit
	add := func(name, base string, times *big.Rat) { out = append(out, unit{name, base, times}) }
	for _, per := range []string{"/s", ""} {
		base := "B" + per
		for i, p := range []string{"K", "M", "G", "T", "P", "E"} {
			add(p+"iB"+per, base, power(1024, i+1))
		}
		for i, p := range []string{"K", "M", "G", "T", "P", "E"} {
			add(p+"B"+per, base, power(1000, i+1))
		}
		add("kB"+per, base, power(1000, 1))
	}
	add("MHz", "Hz", power(1000, 2))
	add("GHz", "Hz", power(1000, 3))
	add("mW", "W", big.NewRat(1, 1000))
	add("kW", "W", power(1000, 1))
	add("MW", "W", power(1000, 2))
	add("GW", "W", power(1000, 3))
	add("W", "W", power(1, 1))
	return out
}

func power(base, n int) *big.Rat {
	out := big.NewInt(1)
	for range n {
		out.Mul(out, big.NewInt(int64(base)))
	}
	return new(big.Rat).SetInt(out)
}

// parseAttribute reads a value as Nomad reads the literals of a constraint on a
// device.
func parseAttribute(text string, known []unit) attribute {
	numeric, u := text, unit{times: big.NewRat(1, 1)}
	if text != "" && unicode.IsLetter(rune(text[len(text)-1])) {
		for _, one := range known {
			if rest, ok := strings.CutSuffix(text, one.name); ok {
				numeric, u = strings.TrimSpace(rest), one
				break
			}
		}
	}
	if n, ok := number(numeric); ok {
		return attribute{number: n.Mul(n, u.times), base: u.base}
	}
	if truth, err := strconv.ParseBool(text); err == nil {
		return attribute{truth: &truth}
	}
	return attribute{text: &text}
}

func number(text string) (*big.Rat, bool) {
	if i, err := strconv.ParseInt(text, 10, 64); err == nil {
		return new(big.Rat).SetInt64(i), true
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil {
		r := new(big.Rat).SetFloat64(f) // nil where it is not finite
		return r, r != nil
	}
	return nil, false
}

// attribute is what a resolved target is as a property of a device.
func (c *checker) attribute(v value) attribute {
	if v.plain {
		return attribute{text: &v.text}
	}
	return parseAttribute(v.text, c.units)
}

// compare orders two values; ok is false if they are not of one kind.
func (a attribute) compare(b attribute) (order int, ok bool) {
	switch {
	case a.base != b.base:
		return 0, false
	case a.text != nil && b.text != nil:
		return strings.Compare(*a.text, *b.text), true
	case a.truth != nil && b.truth != nil:
		if *a.truth == *b.truth {
			return 0, true
		}
		return 1, true
	case a.number != nil && b.number != nil:
		return a.number.Cmp(b.number), true
	}
	return 0, false
}

// holdsOfDevice is Nomad's checkAttributeConstraint.
func (c *checker) holdsOfDevice(operator string, l, r value) bool {
	a, b := c.attribute(l), c.attribute(r)
	order, comparable := a.compare(b)
	both := l.found && r.found
	switch operator {
	case distinctHosts, distinctProperty:
		return true
	case "!=", "not":
		if !both {
			return l.found || r.found
		}
		return comparable && order != 0
	case "=", "==", "is":
		return both && comparable && order == 0
	case "<":
		return both && comparable && order == -1
	case "<=":
		return both && comparable && order != 1
	case ">":
		return both && comparable && order == 1
	case ">=":
		return both && comparable && order != -1
	case "version", "semver":
		versioned := a.text != nil || a.number != nil && a.base == "" && !strings.ContainsAny(l.text, ".eE")
		return versioned && b.text != nil && c.holds(operator, l, r)
	case "is_set", "is_not_set":
		return c.holds(operator, l, r)
	}
	// The rest is for texts.
	return a.text != nil && b.text != nil && c.holds(operator, l, r)
}
