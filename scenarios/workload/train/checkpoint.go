package train

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"stoker/scenarios/workload/artifact"
	"stoker/scenarios/workload/nn"
)

const (
	checkpointFormat = "stoker-checkpoint/1"
	checkpointFile   = "checkpoint.json"
)

// identity is what must be the same for a checkpoint to be continued: all
// that the result depends on.
type identity struct {
	Model   string  `json:"model"`
	Version string  `json:"version"`
	Steps   int     `json:"steps"`
	Batch   int     `json:"batch"`
	Rate    float64 `json:"learning_rate"`
	Hidden  int     `json:"hidden"`
	Seed    uint64  `json:"seed"`
}

type checkpoint struct {
	Format   string      `json:"format"`
	Of       identity    `json:"of"`
	Step     int         `json:"step"`
	Training *nn.Trainer `json:"training"`
}

func (r *run) identity() identity {
	return identity{r.Model, r.Version, r.planned, r.Batch, r.Rate, r.Hidden, r.Seed}
}

// save replaces the checkpoint, if there is a folder for it.
func (r *run) save() error {
	if r.Checkpoints == "" {
		return nil
	}
	body, err := json.Marshal(checkpoint{checkpointFormat, r.identity(), r.step, r.trainer})
	if err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	if err := os.MkdirAll(r.Checkpoints, 0o700); err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	if err := artifact.WriteFile(r.path(), body, 0o600); err != nil {
		return fmt.Errorf("save checkpoint (is the folder large enough for two of %d KiB?): %w", len(body)>>10+1, err)
	}
	return nil
}

// Forget removes the checkpoint of a training that is over.
func (c Config) Forget() error {
	if c.Checkpoints == "" {
		return nil
	}
	if err := os.RemoveAll(c.Checkpoints); err != nil {
		return fmt.Errorf("remove the checkpoint: %w", err)
	}
	return nil
}

// resume takes up the checkpoint of this training and says whether there was
// one. That of another training is refused, not overwritten.
func (r *run) resume() (bool, error) {
	if r.Checkpoints == "" {
		return false, nil
	}
	body, err := os.ReadFile(r.path())
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("resume: %w", err)
	}
	var c checkpoint
	if err := json.Unmarshal(body, &c); err != nil {
		return false, fmt.Errorf("resume: %s is damaged, remove it to begin anew: %w", r.path(), err)
	}
	if c.Format != checkpointFormat || c.Of != r.identity() {
		return false, fmt.Errorf("resume: %s is of another training (%s version %s, %d steps, batch %d, rate %v, hidden %d, seed %d): remove it or use another folder",
			r.path(), c.Of.Model, c.Of.Version, c.Of.Steps, c.Of.Batch, c.Of.Rate, c.Of.Hidden, c.Of.Seed)
	}
	if err := r.fits(c); err != nil {
		return false, fmt.Errorf("resume: %s is damaged, remove it to begin anew: %w", r.path(), err)
	}
	r.trainer, r.step = c.Training, c.Step
	return true, nil
}

func (r *run) fits(c checkpoint) error {
	if c.Training == nil || c.Step < 0 || c.Step > r.planned {
		return fmt.Errorf("step %d without its weights or beyond the plan", c.Step)
	}
	for _, net := range []nn.Net{c.Training.Net, c.Training.Velocity} {
		if err := net.Check(); err != nil {
			return err
		}
		if net.Hidden != r.Hidden {
			return fmt.Errorf("%d hidden units, want %d", net.Hidden, r.Hidden)
		}
	}
	return nil
}

func (r *run) path() string { return filepath.Join(r.Checkpoints, checkpointFile) }
