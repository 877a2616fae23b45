package nomad

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"

	"github.com/goccy/go-json"
	"golang.org/x/sync/errgroup"
)

// rowsOf decodes a JSON array one element after the other and turns each into a
// row: of a list of ten thousand neither the text nor the decoded whole is ever
// in memory, which would be many times what is kept of it. What was read is
// decoded while more is read; row is called from several goroutines.
func rowsOf[J, R any](body io.Reader, row func(*J) R) ([]R, error) {
	var done []*[]R // of each stretch, in the order of the list
	free := make(chan []byte, decoders+1)
	var decoding errgroup.Group
	decoding.SetLimit(decoders)
	var s stretch
	decode := func() {
		these, rows := s, new([]R)
		s, done = stretch{}, append(done, rows)
		decoding.Go(func() (err error) {
			*rows, err = decodeStretch(&these, row)
			select {
			case free <- these.text[:0]:
			default:
			}
			return err
		})
	}
	err := elements(bufio.NewReaderSize(body, 64<<10), func(text []byte) error {
		if s.text == nil {
			select {
			case s.text = <-free:
			default:
			}
		}
		s.text, s.ends = append(s.text, text...), append(s.ends, len(s.text)+len(text))
		if len(s.text) >= stretchBytes {
			decode()
		}
		return nil
	})
	decode()
	undecoded := decoding.Wait()
	err = cmp.Or(err, undecoded)
	n := 0
	for _, rows := range done {
		n += len(*rows)
	}
	out := make([]R, 0, n)
	for _, rows := range done {
		out = append(out, *rows...)
	}
	return out, err
}

const (
	// decoders are how many stretches are decoded at the same time.
	decoders = 2
	// stretchBytes is how much text is worth handing over.
	stretchBytes = 32 << 10
)

// stretch is some elements of a list that follow one another.
type stretch struct {
	text []byte
	ends []int // of each element in text
}

func decodeStretch[J, R any](s *stretch, row func(*J) R) ([]R, error) {
	out := make([]R, 0, len(s.ends))
	from := 0
	for _, end := range s.ends {
		var one J
		if err := json.Unmarshal(s.text[from:end], &one); err != nil {
			return out, err
		}
		out, from = append(out, row(&one)), end
	}
	return out, nil
}

// elements hands on the text of each element of a JSON array, which is valid
// during the call. It only looks for where an element ends: whether it is JSON
// the decoder finds out.
func elements(r *bufio.Reader, each func(text []byte) error) error {
	first, err := skipSpace(r)
	switch {
	case err != nil:
		return err
	case first == 'n': // null is no rows
		return nil
	case first != '[':
		return fmt.Errorf("expected a list, not %q", first)
	}
	var text []byte
	for {
		c, err := skipSpace(r)
		switch {
		case err != nil:
			return err
		case c == ']':
			return nil
		case c == ',':
			continue
		}
		text, err = element(r, append(text[:0], c))
		if err != nil {
			return err
		}
		if err := each(text); err != nil {
			return err
		}
	}
}

// element reads on to the end of the element that begins with text, an object.
func element(r *bufio.Reader, text []byte) ([]byte, error) {
	if text[0] != '{' {
		return nil, fmt.Errorf("expected an object in the list, not %q", text[0])
	}
	depth, quoted, escaped := 1, false, false
	for {
		chunk, err := r.Peek(max(r.Buffered(), 1))
		if err != nil {
			return nil, cut(err)
		}
		for i, c := range chunk {
			switch {
			case escaped:
				escaped = false
			case quoted:
				quoted, escaped = c != '"', c == '\\'
			case c == '"':
				quoted = true
			case c == '{' || c == '[':
				depth++
			case c == '}' || c == ']':
				depth--
			}
			if depth == 0 {
				text = append(text, chunk[:i+1]...)
				_, err := r.Discard(i + 1)
				return text, err
			}
		}
		text = append(text, chunk...)
		if _, err := r.Discard(len(chunk)); err != nil {
			return nil, err
		}
	}
}

func skipSpace(r *bufio.Reader) (byte, error) {
	for {
		c, err := r.ReadByte()
		switch {
		case err != nil:
			return 0, cut(err)
		case c != ' ' && c != '\n' && c != '\t' && c != '\r':
			return c, nil
		}
	}
}

// cut is the error of a list that ends in its middle.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
