package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"stoker/scenarios/workload/artifact"
	"stoker/scenarios/workload/train"
)

const (
	sealerWait   = 60 * time.Second
	sealerAnswer = 10 * time.Minute
)

type trainFlags struct {
	config train.Config
	listen string
	out    string
	send   string
	linger time.Duration
}

func (c command) trainFlags(args []string) (trainFlags, error) {
	t := trainFlags{config: train.Default()}
	cfg := &t.config
	f := flag.NewFlagSet("train", flag.ContinueOnError)
	f.IntVar(&cfg.Steps, "steps", 0, "steps to take in all (default: as many as --epochs needs)")
	f.IntVar(&cfg.Epochs, "epochs", cfg.Epochs, "passes over the training images; not with --steps")
	f.IntVar(&cfg.Batch, "batch", cfg.Batch, "images a step")
	f.Float64Var(&cfg.Rate, "rate", cfg.Rate, "learning rate at the start; it falls to 0 along a cosine")
	f.IntVar(&cfg.Hidden, "hidden", cfg.Hidden, "units of the hidden layer")
	f.Uint64Var(&cfg.Seed, "seed", cfg.Seed, "seed of all randomness: the same seed gives the same model")
	f.DurationVar(&cfg.StepDelay, "step-delay", cfg.StepDelay, "pause after each step, so that a person can watch")
	f.IntVar(&cfg.LogEvery, "log-every", cfg.LogEvery, "steps between two progress lines")
	f.StringVar(&cfg.Checkpoints, "checkpoints", "", "memory-backed folder to save to and resume from")
	f.IntVar(&cfg.SaveEvery, "checkpoint-every", cfg.SaveEvery, "steps between two checkpoints")
	f.StringVar(&cfg.Model, "model", c.env("STOKER_MODEL", cfg.Model), "model name (env STOKER_MODEL)")
	f.StringVar(&cfg.Version, "version", c.env("STOKER_VERSION", cfg.Version), "model version (env STOKER_VERSION)")
	f.StringVar(&t.listen, "listen", "", "ADDR:PORT to serve /metrics on")
	f.StringVar(&t.send, "send", "", "unix:PATH of the sealer's socket, to stream the model to")
	f.StringVar(&t.out, "out", "", "folder to write the plain model into, in place of --send")
	f.DurationVar(&t.linger, "linger", 3*time.Second, "how long /metrics stays up at the end, for a last scrape")
	if err := c.parse(f, args); err != nil {
		return t, err
	}
	given := givenFlags(f)
	if given["steps"] && given["epochs"] {
		return t, fmt.Errorf("%w: give --steps or --epochs, not both", errUsage)
	}
	if given["steps"] && cfg.Steps < 1 {
		return t, fmt.Errorf("%w: --steps %d is nothing to train", errUsage, cfg.Steps)
	}
	return t, t.check()
}

func (t trainFlags) check() error {
	if (t.send == "") == (t.out == "") {
		return fmt.Errorf("%w: give --send unix:PATH (to a sealer) or --out DIR (plain files), so that the model goes to one place", errUsage)
	}
	if err := t.config.Check(); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if t.send == "" {
		return nil
	}
	if _, err := artifact.SocketPath(t.send); err != nil {
		return fmt.Errorf("%w: --send: %w", errUsage, err)
	}
	if dir := t.config.Checkpoints; dir != "" {
		// A model that is to be sealed must not lie open on a disk before.
		if err := inMemory(dir); err != nil {
			return fmt.Errorf("checkpoints of a model to be sealed: %w", err)
		}
	}
	return nil
}

func (c command) train(ctx context.Context, args []string) (err error) {
	t, err := c.trainFlags(args)
	if err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	metrics := train.NewMetrics(registry, t.config.Model, t.config.Version)
	if t.listen != "" {
		mux := http.NewServeMux()
		mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
		e, listenErr := listen(t.listen, mux)
		if listenErr != nil {
			return listenErr
		}
		defer func() { err = errors.Join(err, e.close()) }()
		fmt.Fprintf(c.stdout, "metrics on http://%s/metrics\n", e.addr)
	}
	progress := &train.Progress{}
	gpus, err := c.reportLoad(progress.GPULoad)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, gpus.Close()) }()
	folder, err := train.Run(ctx, t.config, train.Deps{Log: c.stdout, Metrics: metrics, Progress: progress, Now: time.Now})
	if err != nil {
		return err
	}
	if err := c.deliver(ctx, t, folder); err != nil {
		return err
	}
	if t.listen != "" {
		linger(ctx, t.linger)
	}
	return nil
}

// deliver hands the model over, to the sealer or to the folder asked for.
func (c command) deliver(ctx context.Context, t trainFlags, folder artifact.Folder) error {
	if t.out != "" {
		if err := folder.WriteDir(t.out); err != nil {
			return err
		}
		fmt.Fprintf(c.stdout, "model written in plain to %s\n", t.out)
		return nil
	}
	digest, err := folder.Send(ctx, t.send, artifact.Limits{Connect: sealerWait, Answer: sealerAnswer})
	if err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "model sealed, digest %s\n", digest)
	// A checkpoint is the model in plain, and nothing is left to resume.
	return t.config.Forget()
}

// linger waits, but a stop ends it: the work is done.
func linger(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
