package wire

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"io"
	"os"
)

// evaluationFile is the report that a trainer puts beside its model: plain
// numbers by name go to the registry.
const evaluationFile = "evaluation.json"

// maxEvaluation bounds the report: a confusion matrix of a few hundred classes.
const maxEvaluation = 4 << 20

// evaluation is the numbers of a report.
type evaluation struct{ values map[string]float64 }

func (e *evaluation) readFile(path string) {
	f, err := os.Open(path) //nolint:gosec // beside the model
	if err != nil {
		return // a model without a report is registered without one
	}
	defer f.Close()
	e.read(f)
}

func (e *evaluation) read(r io.Reader) {
	var fields map[string]any
	if json.NewDecoder(io.LimitReader(r, maxEvaluation)).Decode(&fields) != nil {
		return
	}
	for name, v := range fields {
		if f, ok := v.(float64); ok {
			if e.values == nil {
				e.values = map[string]float64{}
			}
			e.values[name] = f
		}
	}
}

// tap reads the report out of a tar stream while it passes by. done waits for it.
func (e *evaluation) tap(r io.Reader) (tapped io.Reader, done func()) {
	pr, pw := io.Pipe()
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		tr := tar.NewReader(pr)
		for {
			h, err := tr.Next()
			if err != nil {
				break
			}
			if h.Name == evaluationFile {
				e.read(tr)
			}
		}
		_, _ = io.Copy(io.Discard, pr) // the sealer reads on; never block it
	}()
	return io.TeeReader(r, pw), func() {
		_ = pw.CloseWithError(errors.New("end of stream"))
		<-finished
	}
}
