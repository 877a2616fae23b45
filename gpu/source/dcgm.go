package source

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"stoker/gpu"
)

// DCGMConfig says which dcgm-exporters to read. Only Endpoints must be set; the
// URL of one is its whole address, "http://10.0.0.7:9400/metrics".
type DCGMConfig struct {
	HTTP

	Endpoints func() []Endpoint
	Changed   <-chan struct{}  // Endpoints would answer differently; nil: never
	Interval  time.Duration    // 0: 10 s
	Now       func() time.Time // nil: time.Now
	Timing    Timing           // as of PollConfig; Frozen 0: 2 min
}

// DCGMSource reads dcgm-exporters at an interval.
type DCGMSource struct {
	cfg   DCGMConfig
	asker *asker

	mu    sync.Mutex
	nodes map[Endpoint]*verdicts
}

// DCGM returns a reader of dcgm-exporters; Run starts it.
func DCGM(cfg DCGMConfig) *DCGMSource {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.Interval = orDefault(cfg.Interval, 10*time.Second)
	// The exporter itself measures each 30 s unless told otherwise.
	cfg.Timing.Frozen = orDefault(cfg.Timing.Frozen, 2*time.Minute)
	return &DCGMSource{cfg: cfg, asker: newAsker(cfg.HTTP), nodes: map[Endpoint]*verdicts{}}
}

// Run reads until ctx ends and returns its error. Failures are told to status
// and retried for ever; status may be nil.
func (d *DCGMSource) Run(ctx context.Context, emit func(gpu.Batch), status func(Status)) error {
	defer d.asker.close()
	return Poll(PollConfig{
		Source: "dcgm", Endpoints: d.cfg.Endpoints, Changed: d.cfg.Changed, Read: d.read, Denied: isDenied,
		Interval: d.cfg.Interval, AtOnce: 32, Now: d.cfg.Now, Timing: d.cfg.Timing,
		Still: "the readings of all devices stand still: does DCGM hang?",
	}).Run(ctx, emit, status)
}

// read takes one page and judges what it says.
func (d *DCGMSource) read(ctx context.Context, e Endpoint) (gpu.Batch, error) {
	b, err := d.once(ctx, e)
	if err != nil {
		return gpu.Batch{}, fmt.Errorf("read dcgm-exporter of node %s at %s: %w", firstOf(e.NodeName, e.Node), e.URL, err)
	}
	return b, nil
}

func (d *DCGMSource) once(ctx context.Context, e Endpoint) (gpu.Batch, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, e.URL, nil)
	if err != nil {
		return gpu.Batch{}, fmt.Errorf("address not understood: %w", err)
	}
	req.Header.Set("Accept", "text/plain;version=0.0.4")
	body, err := d.asker.do(req)
	if err != nil {
		return gpu.Batch{}, err
	}
	defer body.Close()
	gpus, err := readPage(body)
	if err != nil {
		return gpu.Batch{}, err
	}
	d.mu.Lock()
	v := d.nodes[e]
	if v == nil {
		v = newVerdicts()
		d.nodes[e] = v
	}
	d.mu.Unlock()
	return v.batch(gpus, d.cfg.Now()), nil // of one endpoint, one reading at a time
}

const (
	maxPage = 16 << 20
	maxLine = 64 << 10
	// maxGPUs and maxLinks are more than a node has GPUs, and a GPU has links.
	maxGPUs  = 256
	maxLinks = 64
)

var errNotDCGM = errors.New("its page has no metric of a GPU: is it a dcgm-exporter?")

// readPage reads a page of metrics.
func readPage(r io.Reader) ([]*gathered, error) {
	text, err := relevant(r)
	if err != nil {
		return nil, err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(text)
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	c := newCollector()
	for name, f := range families {
		for _, m := range f.GetMetric() {
			s := series{name: name, labels: labelsOf(m), value: m.GetUntyped().GetValue()}
			if ms := m.GetTimestampMs(); ms != 0 {
				s.at = time.UnixMilli(ms)
			}
			c.add(s)
			if len(c.gpus) > maxGPUs {
				return nil, fmt.Errorf("more than %d GPUs on one node", maxGPUs)
			}
		}
	}
	if len(c.gpus) == 0 {
		return nil, errNotDCGM
	}
	return c.readings(), nil
}

// relevant keeps the lines that may be ours, and no comments: the exporter
// tells the type of a metric once for GPUs and again for links, which the
// parser takes for a fault. So every metric is untyped.
func relevant(r io.Reader) (io.Reader, error) {
	limited := &io.LimitedReader{R: r, N: maxPage + 1}
	lines := bufio.NewScanner(limited)
	lines.Buffer(nil, maxLine)
	var keep bytes.Buffer
	for lines.Scan() {
		if isOurs(lines.Text()) {
			keep.Write(lines.Bytes())
			keep.WriteByte('\n')
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	if limited.N <= 0 {
		return nil, fmt.Errorf("more than %d MiB of metrics", maxPage>>20)
	}
	return &keep, nil
}

func labelsOf(m *dto.Metric) map[string]string {
	out := make(map[string]string, len(m.GetLabel()))
	for _, l := range m.GetLabel() {
		out[l.GetName()] = l.GetValue()
	}
	return out
}
