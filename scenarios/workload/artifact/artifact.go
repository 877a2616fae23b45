package artifact

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"stoker/scenarios/workload/digits"
	"stoker/scenarios/workload/nn"
)

// The files of a model folder.
const (
	ModelFile      = "model.json"
	EvaluationFile = "evaluation.json"
	BaselineFile   = "baseline.json"
)

// The formats that this program writes and the only ones that it reads.
const (
	ModelFormat      = "stoker-classifier/1"
	EvaluationFormat = "stoker-evaluation/1"
	BaselineFormat   = "stoker-baseline/1"
)

// Model is model.json.
type Model struct {
	Format   string   `json:"format"`
	Name     string   `json:"name"`
	Version  string   `json:"version"`
	Training Training `json:"training"`
	// Net takes pixels scaled to 0..1, see digits.Scale.
	Net nn.Net `json:"net"`
}

// Training is how a model came about; the same values give the same model.
type Training struct {
	Dataset string  `json:"dataset"`
	Images  int     `json:"images"`
	Steps   int     `json:"steps"`
	Batch   int     `json:"batch"`
	Rate    float64 `json:"learning_rate"`
	Hidden  int     `json:"hidden"`
	Seed    uint64  `json:"seed"`
}

// Evaluation is evaluation.json, measured on the test part.
type Evaluation struct {
	Format  string `json:"format"`
	Name    string `json:"name"`
	Version string `json:"version"`
	Dataset string `json:"dataset"`
	nn.Evaluation
}

// Baseline is baseline.json. Pixel statistics are of the training images, raw
// (0 to 16). Scores and labels are of the validation images: a network is too
// sure about images that it learned, and against those every live window
// would look like drift.
type Baseline struct {
	Format  string `json:"format"`
	Name    string `json:"name"`
	Version string `json:"version"`
	// Min and Max are over all pixels: values outside were never seen.
	Min    float64 `json:"value_min"`
	Max    float64 `json:"value_max"`
	Images int     `json:"images"`
	Pixels []Pixel `json:"pixels"`
	// Scores counts the top score of each validation image.
	Scores Histogram `json:"score_histogram"`
	// Labels counts predicted labels, by label.
	Labels []int `json:"predicted_labels"`
}

// Pixel is the statistics of one pixel over the training images.
type Pixel struct {
	Mean float64 `json:"mean"`
	Std  float64 `json:"std"` // population standard deviation
	Min  float64 `json:"min"`
	Max  float64 `json:"max"`
}

// Histogram counts samples in bins; bin i reaches from the bound before it,
// exclusive, to UpperBounds[i], inclusive. Counts are not cumulative.
type Histogram struct {
	UpperBounds []float64 `json:"upper_bounds"`
	Counts      []int     `json:"counts"`
}

// ScoreBounds returns the bins of a top score: ten of equal width. The server
// exports its live scores with the same bounds, so that the two compare.
func ScoreBounds() []float64 {
	return []float64{0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1}
}

// Add counts one sample; one above the last bound counts in the last bin.
func (h *Histogram) Add(v float64) {
	i, _ := slices.BinarySearch(h.UpperBounds, v)
	h.Counts[min(i, len(h.Counts)-1)]++
}

// Folder is a whole model folder in memory.
type Folder struct {
	Model      Model
	Evaluation Evaluation
	Baseline   Baseline
}

type file struct {
	name string
	into any
}

func (f *Folder) files() []file {
	return []file{{EvaluationFile, &f.Evaluation}, {BaselineFile, &f.Baseline}, {ModelFile, &f.Model}}
}

// Check says whether the folder can be served.
func (f *Folder) Check() error {
	for _, part := range []struct{ file, got, want string }{
		{ModelFile, f.Model.Format, ModelFormat},
		{EvaluationFile, f.Evaluation.Format, EvaluationFormat},
		{BaselineFile, f.Baseline.Format, BaselineFormat},
	} {
		if part.got != part.want {
			return fmt.Errorf("%s: format %q, this program reads %q", part.file, part.got, part.want)
		}
	}
	if err := f.Model.Net.Check(); err != nil {
		return fmt.Errorf("%s: %w", ModelFile, err)
	}
	if n := f.Model.Net; n.In != digits.Pixels || n.Out != digits.Classes {
		return fmt.Errorf("%s: %d inputs and %d outputs, want %d and %d", ModelFile, n.In, n.Out, digits.Pixels, digits.Classes)
	}
	if f.Model.Name == "" || f.Model.Version == "" {
		return fmt.Errorf("%s: no name or no version", ModelFile)
	}
	if b := f.Baseline; !(b.Min < b.Max) || math.IsInf(b.Max-b.Min, 0) {
		return fmt.Errorf("%s: values from %v to %v are no range", BaselineFile, b.Min, b.Max)
	}
	return nil
}

// Tar writes the folder as a tar archive of plain files without a folder
// name. The bytes depend on the contents alone.
func (f *Folder) Tar(w io.Writer) error {
	tw := tar.NewWriter(w)
	for _, part := range f.files() {
		body, err := encode(part)
		if err != nil {
			return err
		}
		header := tar.Header{
			Typeflag: tar.TypeReg, Name: part.name, Size: int64(len(body)), Mode: 0o644,
			ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR,
		}
		if err := tw.WriteHeader(&header); err != nil {
			return fmt.Errorf("pack %s: %w", part.name, err)
		}
		if _, err := tw.Write(body); err != nil {
			return fmt.Errorf("pack %s: %w", part.name, err)
		}
	}
	return tw.Close()
}

// WriteDir writes the folder as plain files, making dir if needed. The model
// comes last: where model.json is new, the files beside it are new as well.
func (f *Folder) WriteDir(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write model: %w", err)
	}
	for _, part := range f.files() {
		body, err := encode(part)
		if err != nil {
			return err
		}
		if err := WriteFile(filepath.Join(dir, part.name), body, 0o644); err != nil {
			return fmt.Errorf("write model: %w", err)
		}
	}
	return nil
}

// ReadDir loads a folder into memory and checks it.
func ReadDir(dir string) (Folder, error) {
	var f Folder
	for _, part := range f.files() {
		body, err := os.ReadFile(filepath.Join(dir, part.name))
		if err != nil {
			return Folder{}, fmt.Errorf("load model: %w", err)
		}
		if err := json.Unmarshal(body, part.into); err != nil {
			return Folder{}, fmt.Errorf("load model: %s is damaged: %w", part.name, err)
		}
	}
	if err := f.Check(); err != nil {
		return Folder{}, fmt.Errorf("load model from %s: %w", dir, err)
	}
	return f, nil
}

func encode(part file) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetIndent("", " ")
	if err := e.Encode(part.into); err != nil {
		return nil, fmt.Errorf("encode %s: %w", part.name, err)
	}
	return out.Bytes(), nil
}

// WriteFile replaces a file in one step: a reader, or a restart, sees the old
// contents or the new ones, never a part.
func WriteFile(path string, body []byte, mode os.FileMode) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(body)
	err = errors.Join(err, tmp.Chmod(mode), tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}
