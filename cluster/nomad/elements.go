package nomad

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/goccy/go-json"
)

// rowsOf decodes a JSON array one element after the other and turns each into a
// row: of a list of ten thousand neither the text nor the decoded whole is ever
// in memory, which would be many times what is kept of it.
func rowsOf[J, R any](body io.Reader, row func(*J) R) ([]R, error) {
	out := []R{}
	err := elements(bufio.NewReaderSize(body, 64<<10), func(text []byte) error {
		var one J
		if err := json.Unmarshal(text, &one); err != nil {
			return err
		}
		out = append(out, row(&one))
		return nil
	})
	return out, err
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
