package train

import (
	"fmt"
	"math"

	"stoker/scenarios/workload/artifact"
	"stoker/scenarios/workload/digits"
)

// finish evaluates on the test part and assembles the folder.
func (r *run) finish() artifact.Folder {
	f := artifact.Folder{
		Model: artifact.Model{
			Format: artifact.ModelFormat, Name: r.Model, Version: r.Version,
			Training: artifact.Training{
				Dataset: Dataset, Images: len(r.set.Train), Steps: r.planned,
				Batch: r.Batch, Rate: r.Rate, Hidden: r.Hidden, Seed: r.Seed,
			},
			Net: r.trainer.Net,
		},
		Evaluation: artifact.Evaluation{
			Format: artifact.EvaluationFormat, Name: r.Model, Version: r.Version,
			Dataset: Dataset + ", test part", Evaluation: r.evaluate(r.set.Test),
		},
		Baseline: r.baseline(),
	}
	e := f.Evaluation
	fmt.Fprintf(r.Log, "test_images: %d test_accuracy: %.4f macro_precision: %.4f macro_recall: %.4f macro_f1: %.4f\n",
		e.Samples, e.Accuracy, e.MacroPrecision, e.MacroRecall, e.MacroF1)
	return f
}

func (r *run) baseline() artifact.Baseline {
	b := artifact.Baseline{
		Format: artifact.BaselineFormat, Name: r.Model, Version: r.Version,
		Images: len(r.set.Train), Pixels: pixels(r.set.Train),
		Labels: make([]int, digits.Classes),
		Scores: artifact.Histogram{UpperBounds: artifact.ScoreBounds()},
	}
	b.Scores.Counts = make([]int, len(b.Scores.UpperBounds))
	b.Min, b.Max = b.Pixels[0].Min, b.Pixels[0].Max
	for _, p := range b.Pixels {
		b.Min, b.Max = min(b.Min, p.Min), max(b.Max, p.Max)
	}
	for _, img := range r.set.Valid {
		label, score := r.predict(img)
		b.Labels[label]++
		b.Scores.Add(score)
	}
	return b
}

func pixels(images []digits.Image) []artifact.Pixel {
	out := make([]artifact.Pixel, digits.Pixels)
	n := float64(len(images))
	for i := range out {
		p := artifact.Pixel{Min: math.Inf(1), Max: math.Inf(-1)}
		for _, img := range images {
			v := img.Pixels[i]
			p.Mean += v / n
			p.Min, p.Max = min(p.Min, v), max(p.Max, v)
		}
		for _, img := range images {
			d := img.Pixels[i] - p.Mean
			p.Std += d * d / n
		}
		p.Std = math.Sqrt(p.Std)
		out[i] = p
	}
	return out
}
