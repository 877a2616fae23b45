package artifact

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stoker/scenarios/workload/digits"
	"stoker/scenarios/workload/nn"
)

func sample() Folder {
	return Folder{
		Model: Model{
			Format: ModelFormat, Name: "digits", Version: "3",
			Net: nn.New(digits.Pixels, 4, digits.Classes, rand.New(rand.NewPCG(1, 1))),
		},
		Evaluation: Evaluation{Format: EvaluationFormat, Evaluation: nn.Evaluate(2, []int{0, 1}, []int{0, 1})},
		Baseline: Baseline{
			Format: BaselineFormat, Max: 16, Pixels: []Pixel{{Mean: 1.5, Std: 0.25, Max: 16}},
			Scores: Histogram{UpperBounds: ScoreBounds(), Counts: make([]int, 10)},
		},
	}
}

func TestFolderRoundTrip(t *testing.T) {
	want, dir := sample(), filepath.Join(t.TempDir(), "new", "model")
	if err := want.WriteDir(dir); err != nil {
		t.Fatal(err)
	}
	got, err := ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 {
		t.Errorf("%d files left in the folder, want 3 (%v)", len(entries), err)
	}
}

func TestReadDirRefuses(t *testing.T) {
	for name, spoil := range map[string]func(*Folder){
		"format":  func(f *Folder) { f.Model.Format = "stoker-classifier/2" },
		"weights": func(f *Folder) { f.Model.Net.W1 = f.Model.Net.W1[1:] },
		"inputs":  func(f *Folder) { f.Model.Net = nn.New(3, 4, 10, rand.New(rand.NewPCG(1, 1))) },
		"nameless": func(f *Folder) {
			f.Model.Name = ""
		},
		"range": func(f *Folder) { f.Baseline.Max = 0 },
	} {
		f, dir := sample(), t.TempDir()
		spoil(&f)
		if err := f.WriteDir(dir); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadDir(dir); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := ReadDir(t.TempDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("empty folder: %v", err)
	}
}

func TestTarHoldsTheFilesAndNothingOfToday(t *testing.T) {
	f, dir := sample(), t.TempDir()
	var one, two bytes.Buffer
	if err := errors.Join(f.Tar(&one), f.Tar(&two), f.WriteDir(dir)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(one.Bytes(), two.Bytes()) {
		t.Error("two archives of one folder differ")
	}
	var names []string
	for r := tar.NewReader(&one); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		onDisk, err := os.ReadFile(filepath.Join(dir, h.Name))
		if err != nil || !bytes.Equal(body, onDisk) {
			t.Errorf("%s differs from the plain file (%v)", h.Name, err)
		}
		if h.Typeflag != tar.TypeReg || h.ModTime.Unix() != 0 {
			t.Errorf("%s: type %c, time %s", h.Name, h.Typeflag, h.ModTime)
		}
		names = append(names, h.Name)
	}
	if diff := cmp.Diff([]string{EvaluationFile, BaselineFile, ModelFile}, names); diff != "" {
		t.Error(diff)
	}
}

func TestHistogramBinsAreThoseOfPrometheus(t *testing.T) {
	h := Histogram{UpperBounds: ScoreBounds(), Counts: make([]int, 10)}
	for _, v := range []float64{0, 0.1, 0.100001, 0.95, 1, 1.0000001} {
		h.Add(v)
	}
	if diff := cmp.Diff([]int{2, 1, 0, 0, 0, 0, 0, 0, 0, 3}, h.Counts); diff != "" {
		t.Error(diff)
	}
}
