package train

import (
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"stoker/scenarios/workload/digits"
)

// Config is what a training is asked to do.
type Config struct {
	Model   string
	Version string
	// Steps to take in all; when 0, Epochs over the training images.
	Steps  int
	Epochs int
	Batch  int     // images a step
	Rate   float64 // learning rate at the start; it falls to 0 along a cosine
	Hidden int     // units of the hidden layer
	Seed   uint64
	// StepDelay is waited after each step, so that a person can watch.
	StepDelay time.Duration
	LogEvery  int // steps between two progress lines and validations
	SaveEvery int // steps between two checkpoints
	// Checkpoints is the folder to save into and to resume from; none when
	// empty. It receives plaintext weights.
	Checkpoints string
}

// Default is a training of about ten seconds that reaches about 97 %.
func Default() Config {
	return Config{
		Model: "digits", Version: "1", Epochs: 30, Batch: 32, Rate: 0.1, Hidden: 64, Seed: 1,
		StepDelay: 10 * time.Millisecond, LogEvery: 20, SaveEvery: 50,
	}
}

// Check names the first value that makes no sense.
func (c Config) Check() error {
	switch {
	case c.Model == "" || c.Version == "":
		return errors.New("a model needs a name and a version")
	case c.Steps < 0 || c.Steps == 0 && c.Epochs < 1:
		return fmt.Errorf("%d steps and %d epochs are nothing to train", c.Steps, c.Epochs)
	case c.Batch < 1 || c.Batch > maxBatch:
		return fmt.Errorf("batch %d is not from 1 to %d", c.Batch, maxBatch)
	case !(c.Rate > 0) || math.IsInf(c.Rate, 0):
		return fmt.Errorf("learning rate %v is not above 0", c.Rate)
	case c.Hidden < 1 || c.Hidden > maxHidden:
		return fmt.Errorf("hidden %d is not from 1 to %d", c.Hidden, maxHidden)
	case c.StepDelay < 0:
		return fmt.Errorf("step delay %s is below 0", c.StepDelay)
	case c.LogEvery < 1 || c.SaveEvery < 1:
		return errors.New("steps between progress lines and between checkpoints must be at least 1")
	}
	return nil
}

const (
	maxBatch  = 1024
	maxHidden = 4096
)

// plan returns the number of steps in all and in an epoch. The images that do
// not fill a last batch sit an epoch out; another shuffle brings them back.
func (c Config) plan(set digits.Set) (steps, perEpoch int) {
	perEpoch = max(len(set.Train)/c.Batch, 1)
	if c.Steps > 0 {
		return c.Steps, perEpoch
	}
	return c.Epochs * perEpoch, perEpoch
}

// Deps is what a training needs from outside.
type Deps struct {
	Log      io.Writer // progress lines
	Metrics  *Metrics
	Progress *Progress
	Now      func() time.Time
}
