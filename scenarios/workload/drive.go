package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"strings"
	"time"

	"stoker/scenarios/workload/digits"
	"stoker/scenarios/workload/drive"
)

func (c command) drive(ctx context.Context, args []string) error {
	var cfg drive.Config
	f := flag.NewFlagSet("drive", flag.ContinueOnError)
	urls := f.String("url", "", "base address of a server, http://HOST:PORT; several with commas, used in turn")
	f.DurationVar(&cfg.Duration, "duration", 20*time.Second, "how long to send")
	f.Float64Var(&cfg.Rate, "rate", 20, "requests a second")
	f.StringVar(&cfg.Model, "model", c.env("STOKER_MODEL", "digits"), "model to ask (env STOKER_MODEL)")
	f.StringVar(&cfg.Version, "version", c.getenv("STOKER_VERSION"), "version to ask (env STOKER_VERSION; default: what the server has)")
	f.DurationVar(&cfg.Timeout, "timeout", 10*time.Second, "longest wait for one answer")
	format := f.String("report", "json", "form of the last line: json or text")
	if err := c.parse(f, args); err != nil {
		return err
	}
	for _, u := range strings.Split(*urls, ",") {
		if u = strings.TrimSpace(u); u != "" {
			cfg.URLs = append(cfg.URLs, u)
		}
	}
	if *format != "json" && *format != "text" {
		return fmt.Errorf("%w: --report %q is neither json nor text", errUsage, *format)
	}
	if err := cfg.Check(); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	report, err := drive.Run(ctx, cfg)
	if err != nil {
		return err
	}
	line := []byte(report.Text())
	if *format == "json" {
		if line, err = json.Marshal(report); err != nil {
			return fmt.Errorf("report: %w", err)
		}
	}
	fmt.Fprintf(c.stdout, "%s\n", line)
	if report.Answered == 0 {
		return errors.New("nothing answered")
	}
	return nil
}

func (c command) images(args []string) error {
	f := flag.NewFlagSet("images", flag.ContinueOnError)
	count := f.Int("count", 10, "test images to print, 0 for all")
	if err := c.parse(f, args); err != nil {
		return err
	}
	set, err := digits.Load()
	if err != nil {
		return err
	}
	if *count < 0 || *count > len(set.Test) {
		return fmt.Errorf("%w: --count %d is not from 0 to %d", errUsage, *count, len(set.Test))
	}
	images := set.Test
	if *count > 0 {
		images = images[:*count]
	}
	out := json.NewEncoder(c.stdout)
	for i, img := range images {
		line := struct {
			Index int       `json:"index"`
			Label int       `json:"label"`
			Image []float64 `json:"image"`
		}{i, img.Label, img.Pixels[:]}
		if err := out.Encode(line); err != nil {
			return fmt.Errorf("print images: %w", err)
		}
	}
	return nil
}

// givenFlags are the flags named on the command line.
func givenFlags(f *flag.FlagSet) map[string]bool {
	given := map[string]bool{}
	f.Visit(func(g *flag.Flag) { given[g.Name] = true })
	return given
}
