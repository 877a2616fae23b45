package nn

// Evaluation is how well a classifier answers. Rates run from 0 to 1. Macro
// means are over the classes, each with equal weight. A class that was never
// predicted has precision 0, one that never occurred has recall 0.
type Evaluation struct {
	Samples        int          `json:"samples"`
	Accuracy       float64      `json:"accuracy"`
	MacroPrecision float64      `json:"macro_precision"`
	MacroRecall    float64      `json:"macro_recall"`
	MacroF1        float64      `json:"macro_f1"`
	Classes        []ClassScore `json:"classes"`
	// Confusion[truth][prediction] counts samples.
	Confusion [][]int `json:"confusion_matrix"`
}

// ClassScore is how well one class is told from the others. Support is how
// often it occurred.
type ClassScore struct {
	Label     int     `json:"label"`
	Precision float64 `json:"precision"`
	Recall    float64 `json:"recall"`
	F1        float64 `json:"f1"`
	Support   int     `json:"support"`
}

// Evaluate compares predictions with the truth. Both hold one label below
// classes for each sample.
func Evaluate(classes int, truth, predicted []int) Evaluation {
	e := Evaluation{Samples: len(truth), Confusion: make([][]int, classes)}
	for c := range e.Confusion {
		e.Confusion[c] = make([]int, classes)
	}
	for i, want := range truth {
		e.Confusion[want][predicted[i]]++
	}
	right := 0
	for c := range classes {
		hits, occurred, said := e.Confusion[c][c], 0, 0
		for other := range classes {
			occurred += e.Confusion[c][other]
			said += e.Confusion[other][c]
		}
		right += hits
		score := ClassScore{
			Label: c, Support: occurred,
			Precision: ratio(hits, said), Recall: ratio(hits, occurred),
			// 2PR/(P+R) in whole numbers: no division of two rounded rates.
			F1: ratio(2*hits, said+occurred),
		}
		e.Classes = append(e.Classes, score)
		e.MacroPrecision += score.Precision / float64(classes)
		e.MacroRecall += score.Recall / float64(classes)
		e.MacroF1 += score.F1 / float64(classes)
	}
	e.Accuracy = ratio(right, len(truth))
	return e
}

func ratio(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}
