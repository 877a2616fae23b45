package cluster

type modelRow struct {
	sample  ModelSample
	latency []float64
	rate    []float64
}

type trainingRow struct {
	sample TrainingSample
	loss   []Point
}

// curveLen bounds a kept curve; when it is full every second point goes.
const curveLen = 240

func (st *state) modelSamples(rows []ModelSample) {
	rows = named(st, rows, func(s *ModelSample) *JobID { return &s.Key.Job })
	seen := map[ModelKey]bool{}
	for _, s := range rows {
		seen[s.Key] = true
		row := st.models[s.Key]
		if row == nil {
			row = &modelRow{}
			st.models[s.Key] = row
		}
		row.sample = s
		if s.P95 != nil {
			row.latency = tail(row.latency, s.P95.Seconds)
		}
		if s.Requests != nil {
			row.rate = tail(row.rate, *s.Requests)
		}
	}
	for k := range st.models {
		if !seen[k] {
			delete(st.models, k)
		}
	}
}

func tail(points []float64, v float64) []float64 {
	if len(points) >= historyLen {
		points = points[len(points)-historyLen+1:]
	}
	return append(points[:len(points):len(points)], v)
}

func (st *state) trainingSamples(rows []TrainingSample) {
	rows = named(st, rows, func(s *TrainingSample) *JobID { return &s.Job })
	for _, s := range rows {
		row := st.training[s.Job]
		if row == nil || s.Step != nil && row.sample.Step != nil && *s.Step < *row.sample.Step && s.Alloc != row.sample.Alloc {
			row = &trainingRow{} // a new run starts a new curve
			st.training[s.Job] = row
		}
		row.sample = s
		if s.Step != nil && s.Loss != nil {
			row.loss = curve(row.loss, Point{*s.Step, *s.Loss})
		}
	}
}

func curve(points []Point, p Point) []Point {
	if n := len(points); n > 0 && points[n-1].Step >= p.Step {
		return points
	}
	out := make([]Point, 0, len(points)+1)
	if len(points) >= curveLen {
		for i := 0; i < len(points); i += 2 {
			out = append(out, points[i])
		}
	} else {
		out = append(out, points...)
	}
	return append(out, p)
}
