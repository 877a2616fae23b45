package drive

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"stoker/scenarios/workload/digits"
)

// maxInFlight bounds what a server that does not answer can pile up here.
const maxInFlight = 512

// maxAnswer bounds what is read of an answer; one label needs far less.
const maxAnswer = 1 << 20

// Config is the load to put on.
type Config struct {
	URLs     []string // base addresses, used in turn
	Duration time.Duration
	Rate     float64 // requests a second
	Model    string
	Version  string        // none: whatever the server has
	Timeout  time.Duration // of one request, from its scheduled time
}

// Check names the first value that makes no sense.
func (c Config) Check() error {
	if len(c.URLs) == 0 {
		return errors.New("no URL to send to")
	}
	for _, u := range c.URLs {
		parsed, err := url.Parse(u)
		if err != nil || parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https" {
			return fmt.Errorf("%q is not a server's address, want http://HOST:PORT", u)
		}
	}
	switch {
	case !(c.Rate > 0) || c.Rate > 1e5:
		return fmt.Errorf("rate %v is not above 0 and at most 100000 a second", c.Rate)
	case c.Duration <= 0 || c.Timeout <= 0:
		return errors.New("duration and timeout must be above 0")
	case c.count() < 1:
		return fmt.Errorf("%s at %v a second is not even one request", c.Duration, c.Rate)
	case c.Model == "":
		return errors.New("no model to ask")
	}
	return nil
}

func (c Config) count() int { return int(math.Round(c.Duration.Seconds() * c.Rate)) }

// endpoints are the addresses to post to.
func (c Config) endpoints() ([]string, error) {
	path := []string{"v2", "models", url.PathEscape(c.Model)}
	if c.Version != "" {
		path = append(path, "versions", url.PathEscape(c.Version))
	}
	path = append(path, "infer")
	var out []string
	for _, base := range c.URLs {
		full, err := url.JoinPath(base, path...)
		if err != nil {
			return nil, fmt.Errorf("drive: %w", err)
		}
		out = append(out, full)
	}
	return out, nil
}

// question is a test image as a request body, made beforehand so that making
// it costs no time under load.
type question struct {
	body  []byte
	label int
}

func questions(images []digits.Image) ([]question, error) {
	var out []question
	for _, img := range images {
		body, err := json.Marshal(map[string]any{"inputs": []any{map[string]any{
			"name": "image", "datatype": "FP32", "shape": []int{1, digits.Pixels}, "data": img.Pixels,
		}}})
		if err != nil {
			return nil, fmt.Errorf("drive: %w", err)
		}
		out = append(out, question{body, img.Label})
	}
	return out, nil
}

// Run puts the load on until the duration is over or ctx ends, waits for the
// answers still due, and reports.
func Run(ctx context.Context, cfg Config) (Report, error) {
	if err := cfg.Check(); err != nil {
		return Report{}, fmt.Errorf("drive: %w", err)
	}
	set, err := digits.Load()
	if err != nil {
		return Report{}, fmt.Errorf("drive: %w", err)
	}
	asked, err := questions(set.Test)
	if err != nil {
		return Report{}, err
	}
	endpoints, err := cfg.endpoints()
	if err != nil {
		return Report{}, err
	}
	transport := &http.Transport{MaxIdleConnsPerHost: maxInFlight, DialContext: (&net.Dialer{Timeout: cfg.Timeout}).DialContext}
	defer transport.CloseIdleConnections()
	d := driver{client: &http.Client{Transport: transport}, timeout: cfg.Timeout, room: make(chan struct{}, maxInFlight)}
	start := time.Now()
	for i := range cfg.count() {
		due := start.Add(time.Duration(float64(i) / cfg.Rate * float64(time.Second)))
		if !waitUntil(ctx, due) {
			break
		}
		d.launch(ctx, due, endpoints[i%len(endpoints)], asked[i%len(asked)])
	}
	d.running.Wait()
	return d.tally.report(time.Since(start)), nil
}

func waitUntil(ctx context.Context, due time.Time) bool {
	wait := time.Until(due)
	if wait <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

type driver struct {
	client  *http.Client
	timeout time.Duration
	room    chan struct{}
	running sync.WaitGroup
	tally   tally
}

func (d *driver) launch(ctx context.Context, due time.Time, endpoint string, q question) {
	select {
	case d.room <- struct{}{}:
	default:
		d.tally.add(outcome{code: codeOverrun})
		return
	}
	d.running.Go(func() {
		defer func() { <-d.room }()
		o := d.ask(ctx, due, endpoint, q)
		o.took = time.Since(due)
		if ctx.Err() != nil && !o.answered {
			return // stopped by the user, no fault of the server
		}
		d.tally.add(o)
	})
}

// ask sends one image and judges the answer.
func (d *driver) ask(ctx context.Context, due time.Time, endpoint string, q question) outcome {
	ctx, cancel := context.WithDeadline(ctx, due.Add(d.timeout))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, bytes.NewReader(q.body))
	if err != nil {
		return outcome{code: codeFailed}
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := d.client.Do(req)
	if err != nil {
		return outcome{code: failure(err)}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return outcome{code: failure(err)}
	}
	o := outcome{answered: true, code: strconv.Itoa(resp.StatusCode)}
	if resp.StatusCode != http.StatusOK {
		return o
	}
	label, err := readLabel(body)
	if err != nil {
		o.code = codeNonsense
		return o
	}
	o.ok, o.right = true, label == q.label
	return o
}

func failure(err error) string {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return codeTimeout
	}
	return codeFailed
}

func readLabel(body []byte) (int, error) {
	var answer struct {
		Outputs []struct {
			Name string `json:"name"`
			Data []any  `json:"data"`
		} `json:"outputs"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return 0, err
	}
	for _, out := range answer.Outputs {
		if out.Name == "label" && len(out.Data) == 1 {
			if label, ok := out.Data[0].(float64); ok {
				return int(label), nil
			}
		}
	}
	return 0, errors.New("no label in the answer")
}
