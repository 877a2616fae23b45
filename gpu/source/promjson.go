package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

var (
	// errTold is an error that the server told in its answer.
	errTold    = errors.New("the server says")
	errNotProm = errors.New("the answer is not that of Prometheus' HTTP API")
)

// maxAnswer bounds an answer: 16,000 GPUs with details.
const maxAnswer = 256 << 20

// point is a time and a value as the API writes them: [1700000000.1,"0.5"].
type point struct{ at, value float64 }

// UnmarshalJSON reads the two by hand: a fleet has a hundred thousand of them.
func (p *point) UnmarshalJSON(raw []byte) error {
	at, value, ok := strings.Cut(strings.Trim(string(raw), "[]"), ",")
	value, quoted := strings.CutPrefix(strings.TrimSpace(value), `"`)
	value, ended := strings.CutSuffix(value, `"`)
	if !ok || !quoted || !ended {
		return errNotProm
	}
	var err error
	if p.at, err = strconv.ParseFloat(strings.TrimSpace(at), 64); err == nil {
		p.value, err = strconv.ParseFloat(value, 64)
	}
	return err
}

// element is one series of an answer: with one value, or with many.
type element struct {
	Metric map[string]string
	Value  *point
	Values []point
}

// decodeVector reads an answer and gives each its points, one after the other:
// the whole of a large fleet need not fit into memory at once.
func decodeVector(r io.Reader, each func(series)) error {
	dec := json.NewDecoder(&io.LimitedReader{R: r, N: maxAnswer})
	a := answer{dec: dec, each: each}
	if err := a.object(a.top); err != nil {
		return fmt.Errorf("%w: %w", errNotProm, err)
	}
	switch {
	case a.status == "success":
		return nil
	case a.err != "":
		return fmt.Errorf("%w: %.300s", errTold, a.err)
	}
	return errNotProm
}

// answer is one that is being read.
type answer struct {
	dec         *json.Decoder
	each        func(series)
	status, err string
}

func (a *answer) top(key string) error {
	switch key {
	case "status":
		return a.dec.Decode(&a.status)
	case "error":
		return a.dec.Decode(&a.err)
	case "data":
		return a.object(a.data)
	}
	return a.skip()
}

func (a *answer) data(key string) error {
	if key != "result" {
		return a.skip()
	}
	if err := a.expect('['); err != nil {
		return err
	}
	for a.dec.More() {
		var e element
		if err := a.dec.Decode(&e); err != nil {
			return err
		}
		s := series{name: e.Metric["__name__"], labels: e.Metric}
		if e.Value != nil {
			e.Values = append(e.Values, *e.Value)
		}
		for _, v := range e.Values {
			s.at, s.value = unixTime(v.at), v.value
			a.each(s)
		}
	}
	return a.expect(']')
}

// object reads one, and gives each key to field, which reads its value.
func (a *answer) object(field func(key string) error) error {
	if err := a.expect('{'); err != nil {
		return err
	}
	for a.dec.More() {
		t, err := a.dec.Token()
		if err != nil {
			return err
		}
		key, _ := t.(string)
		if err := field(key); err != nil {
			return err
		}
	}
	return a.expect('}')
}

func (a *answer) expect(d json.Delim) error {
	t, err := a.dec.Token()
	if err != nil {
		return err
	}
	if t != d {
		return fmt.Errorf("%v in place of %v", t, d)
	}
	return nil
}

func (a *answer) skip() error {
	var any json.RawMessage
	return a.dec.Decode(&any)
}
