package train

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"stoker/scenarios/workload/artifact"
	"stoker/scenarios/workload/digits"
	"stoker/scenarios/workload/nn"
)

// Dataset is the name under which models and evaluations record their data.
const Dataset = "UCI Optical Recognition of Handwritten Digits, scikit-learn form"

// shiftShare is the share of training images that a step sees shifted.
const shiftShare = 0.5

// Streams of random numbers, kept apart so that none repeats another.
const (
	streamWeights = iota
	streamShuffle
	streamShift
)

type run struct {
	Config
	Deps
	set      digits.Set
	planned  int
	perEpoch int
	trainer  *nn.Trainer
	step     int // steps taken

	order      []int // of the training images in epoch orderEpoch
	orderEpoch int
	recent     recent
}

// recent gathers what a progress line tells of the steps since the last one.
type recent struct {
	since  time.Time
	loss   float64
	steps  int
	images int
}

// Run trains and returns the finished folder. When ctx ends it saves a
// checkpoint, where it has a folder for one, and returns the context's cause.
func Run(ctx context.Context, cfg Config, deps Deps) (artifact.Folder, error) {
	if err := cfg.Check(); err != nil {
		return artifact.Folder{}, fmt.Errorf("train: %w", err)
	}
	set, err := digits.Load()
	if err != nil {
		return artifact.Folder{}, fmt.Errorf("train: %w", err)
	}
	r := &run{Config: cfg, Deps: deps, set: set, orderEpoch: -1}
	r.planned, r.perEpoch = cfg.plan(set)
	if err := r.start(); err != nil {
		return artifact.Folder{}, fmt.Errorf("train: %w", err)
	}
	if err := r.loop(ctx); err != nil {
		return artifact.Folder{}, err
	}
	r.Progress.set(Finishing)
	return r.finish(), nil
}

// start takes up the checkpoint, or begins anew.
func (r *run) start() error {
	resumed, err := r.resume()
	if err != nil {
		return err
	}
	if !resumed {
		r.trainer = nn.NewTrainer(nn.New(digits.Pixels, r.Hidden, digits.Classes, r.rng(streamWeights, 0)))
	}
	r.Metrics.planned.Set(float64(r.planned))
	r.Metrics.step.Set(float64(r.step))
	r.recent.since = r.Now()
	verb := "training"
	if resumed {
		verb = fmt.Sprintf("resuming from step %d of", r.step)
	}
	fmt.Fprintf(r.Log, "%s %s version %s on %d images, %d steps planned, %d an epoch, seed %d\n",
		verb, r.Model, r.Version, len(r.set.Train), r.planned, r.perEpoch, r.Seed)
	return nil
}

func (r *run) loop(ctx context.Context) error {
	r.Progress.set(Stepping)
	for r.step < r.planned {
		if ctx.Err() != nil {
			return r.interrupted(ctx)
		}
		r.learn()
		last := r.step == r.planned
		if r.step%r.LogEvery == 0 || last {
			r.tell()
		}
		if r.step%r.SaveEvery == 0 || last {
			if err := r.save(); err != nil {
				return err
			}
		}
		if !last {
			pause(ctx, r.StepDelay)
		}
	}
	return nil
}

func (r *run) interrupted(ctx context.Context) error {
	if r.Checkpoints == "" {
		return fmt.Errorf("stopped at step %d of %d, nothing saved (no checkpoint folder): %w", r.step, r.planned, context.Cause(ctx))
	}
	if err := r.save(); err != nil {
		return err
	}
	return fmt.Errorf("stopped at step %d of %d, checkpoint saved: %w", r.step, r.planned, context.Cause(ctx))
}

func pause(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// learn takes one step.
func (r *run) learn() {
	epoch := r.step / r.perEpoch
	inputs, labels := r.batch(epoch)
	rate := r.Rate * (1 + math.Cos(math.Pi*float64(r.step)/float64(r.planned))) / 2
	loss := r.trainer.Step(inputs, labels, rate)
	r.step++
	r.recent.loss += loss
	r.recent.steps++
	r.recent.images += len(labels)
	m := r.Metrics
	m.step.Set(float64(r.step))
	m.epoch.Set(float64(epoch + 1))
	m.rate.Set(rate)
	m.samples.Add(float64(len(labels)))
	m.loss.WithLabelValues().Set(loss)
}

// batch returns the scaled, partly shifted images of the coming step.
func (r *run) batch(epoch int) (inputs [][]float64, labels []int) {
	if r.orderEpoch != epoch {
		r.order, r.orderEpoch = r.rng(streamShuffle, epoch).Perm(len(r.set.Train)), epoch
	}
	rng := r.rng(streamShift, r.step)
	from := r.step % r.perEpoch * r.Batch
	for _, i := range r.order[from:min(from+r.Batch, len(r.order))] {
		img := r.set.Train[i]
		if rng.Float64() < shiftShare {
			img = digits.Shift(img, rng.IntN(3)-1, rng.IntN(3)-1)
		}
		x := make([]float64, digits.Pixels)
		digits.Scale(x, img.Pixels[:])
		inputs, labels = append(inputs, x), append(labels, img.Label)
	}
	return inputs, labels
}

// rng gives the random numbers of one purpose at one step or epoch.
func (r *run) rng(stream, at int) *rand.Rand {
	return rand.New(rand.NewPCG(r.Seed, uint64(stream)<<48|uint64(at)))
}

// tell validates, and prints and publishes how it goes.
func (r *run) tell() {
	accuracy := r.evaluate(r.set.Valid).Accuracy
	r.Metrics.accuracy.WithLabelValues().Set(accuracy)
	now := r.Now()
	speed := 0.0
	if passed := now.Sub(r.recent.since).Seconds(); passed > 0 {
		speed = float64(r.recent.images) / passed
	}
	fmt.Fprintf(r.Log, "step: %d loss: %.4f accuracy: %.4f samples_per_second: %.0f\n",
		r.step, r.recent.loss/float64(r.recent.steps), accuracy, speed)
	r.recent = recent{since: now}
}

func (r *run) evaluate(part []digits.Image) nn.Evaluation {
	truth, said := make([]int, len(part)), make([]int, len(part))
	for i, img := range part {
		truth[i] = img.Label
		said[i], _ = r.predict(img)
	}
	return nn.Evaluate(digits.Classes, truth, said)
}

func (r *run) predict(img digits.Image) (label int, score float64) {
	x := make([]float64, digits.Pixels)
	digits.Scale(x, img.Pixels[:])
	return nn.Best(r.trainer.Net.Predict(x))
}
