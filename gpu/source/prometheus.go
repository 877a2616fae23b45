package source

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"stoker/gpu"
)

// PrometheusConfig says which server with Prometheus' HTTP API tells of the
// fleet. URL and Node must be set.
type PrometheusConfig struct {
	HTTP

	URL string // base address, for example "https://prometheus.example.net:9090"
	// Match narrows every query to series with these labels: for a server that
	// holds more than this cluster.
	Match map[string]string
	// Node says which Nomad node has a GPU: by its UUID, or else by what the
	// labels of its series say of the host. "" is none, and the GPU is left out.
	Node     func(id gpu.UUID, labels map[string]string) string
	Interval time.Duration    // 0: 15 s
	Now      func() time.Time // nil: time.Now
	Timing   Timing           // as of PollConfig
}

const (
	// staleAfter is from which age on a series tells nothing of now. The server
	// itself goes on giving the last value for five minutes.
	staleAfter = 3 * time.Minute
	// detailUpTo is the number of GPUs up to which details are asked for: of a
	// larger fleet they would be tens of MB at each reading.
	detailUpTo = 1024
	// maxPoints is what the API gives of one series at most.
	maxPoints = 11000
)

// PrometheusSource asks one server for the whole fleet at an interval.
type PrometheusSource struct {
	cfg   PrometheusConfig
	asker *asker

	// Of the last reading; only Run's reader touches them.
	verdicts *verdicts
	nodes    map[gpu.UUID]string
	gpus     int
}

// Prometheus returns a reader of a Prometheus-compatible server; Run starts it.
func Prometheus(cfg PrometheusConfig) *PrometheusSource {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.URL = strings.TrimRight(cfg.URL, "/")
	return &PrometheusSource{cfg: cfg, asker: newAsker(cfg.HTTP), verdicts: newVerdicts()}
}

// Run reads until ctx ends and returns its error. Each reading is one batch a
// node. Failures are told to status and retried for ever; status may be nil.
func (p *PrometheusSource) Run(ctx context.Context, emit func(gpu.Batch), status func(Status)) error {
	defer p.asker.close()
	return Poll(PollConfig{
		Source: "prometheus", Endpoints: func() []Endpoint { return []Endpoint{{URL: p.cfg.URL}} },
		Read: p.read, Denied: isDenied, Interval: orDefault(p.cfg.Interval, 15*time.Second), Patience: 30 * time.Second,
		Now: p.cfg.Now, Timing: p.cfg.Timing, Still: "all series are old: does the server scrape?",
	}).Run(ctx, func(b gpu.Batch) {
		for _, one := range p.split(b) {
			emit(one)
		}
	}, status)
}

// read asks which GPUs there are and then for their numbers.
func (p *PrometheusSource) read(ctx context.Context, _ Endpoint) (gpu.Batch, error) {
	c := newCollector()
	p.nodes = map[gpu.UUID]string{}
	at := p.cfg.Now()
	err := p.query(ctx, "query", url.Values{"query": {p.presence()}}, func(s series) {
		at = s.at // of the answer; the value is the time of the sample
		id := uuidOf(s.labels)
		if id == "" {
			return
		}
		node := p.cfg.Node(id, s.labels)
		if node == "" {
			return
		}
		p.nodes[id] = node
		g := c.of(id)
		s.at = unixTime(s.value)
		g.describe(s)
	})
	if err != nil {
		return gpu.Batch{}, fmt.Errorf("ask prometheus at %s: %w", p.cfg.URL, err)
	}
	err = p.query(ctx, "query", url.Values{"query": {p.numbers(c.names(p.gpus <= detailUpTo))}}, func(s series) {
		if id := uuidOf(s.labels); p.nodes[id] != "" {
			s.at = time.Time{}
			c.add(s)
		}
	})
	if err != nil {
		return gpu.Batch{}, fmt.Errorf("ask prometheus at %s: %w", p.cfg.URL, err)
	}
	p.gpus = len(c.gpus)
	b := p.verdicts.batch(c.readings(), at)
	b.Samples = slices.DeleteFunc(b.Samples, func(s gpu.Sample) bool { return at.Sub(s.At) > staleAfter })
	return b, nil
}

// split makes one batch a node of one of the whole fleet.
func (p *PrometheusSource) split(b gpu.Batch) []gpu.Batch {
	var out []gpu.Batch
	at := map[string]int{}
	of := func(id gpu.UUID) *gpu.Batch {
		node := p.nodes[id]
		i, ok := at[node]
		if !ok {
			i = len(out)
			at[node] = i
			out = append(out, gpu.Batch{Node: node, Source: b.Source, At: b.At})
		}
		return &out[i]
	}
	for _, d := range b.Devices {
		one := of(d.UUID)
		one.Devices = append(one.Devices, d)
	}
	for _, s := range b.Samples {
		one := of(s.UUID)
		one.Samples = append(one.Samples, s)
	}
	for _, e := range b.Events {
		one := of(e.UUID)
		one.Events = append(one.Events, e)
	}
	return out
}

// presence asks for one series a GPU, with all its labels; the value is when it
// was measured. Each of the names is told by some exporter of every GPU.
func (p *PrometheusSource) presence() string {
	var parts []string
	for _, name := range []string{own + "info", dev + "GPU_TEMP_CELSIUS", dev + "GPU_TEMP", dev + "BOARD_POWER_WATTS", dev + "POWER_USAGE"} {
		parts = append(parts, "timestamp("+name+p.selector()+")")
	}
	return strings.Join(parts, " or ")
}

// numbers asks for all numbers at once, without the labels that do not matter:
// they would be most of the answer.
func (p *PrometheusSource) numbers(names []string) string {
	return "max by (__name__, UUID, uuid, gpu_uuid, nvlink, xid, type, reason, verdict) (" +
		p.selector(`__name__=~"`+strings.Join(names, "|")+`"`) + ")"
}

// selector picks series of whole GPUs.
func (p *PrometheusSource) selector(more ...string) string {
	matchers := append([]string{`GPU_I_ID=""`}, more...)
	for name, value := range p.cfg.Match {
		matchers = append(matchers, name+"="+strconv.Quote(value))
	}
	slices.Sort(matchers)
	return "{" + strings.Join(matchers, ",") + "}"
}

// Past asks for the history of one GPU, oldest first: samples of which the
// time, utilisation, memory in use, power and temperature are set, where they
// are known. A step that would give too many points is made longer.
func (p *PrometheusSource) Past(ctx context.Context, id gpu.UUID, from, to time.Time, step time.Duration) ([]gpu.Sample, error) {
	step = max(step, time.Second, to.Sub(from)/(maxPoints-1))
	c := newCollector()
	names := `__name__=~"` + strings.Join(c.names(false), "|") + `"`
	quoted := strconv.Quote(string(id))
	q := "max by (__name__) (" + p.selector(names, "UUID="+quoted) + " or " + p.selector(names, "uuid="+quoted) + ")"
	points := map[time.Time]*gathered{}
	err := p.query(ctx, "query_range", url.Values{
		"query": {q}, "start": {seconds(from)}, "end": {seconds(to)}, "step": {strconv.FormatFloat(step.Seconds(), 'f', -1, 64)},
	}, func(s series) {
		place, plain := c.at[s.name]
		if !plain {
			return
		}
		g := points[s.at]
		if g == nil {
			g = &gathered{}
			points[s.at] = g
		}
		c.put(g, place, s.value)
	})
	if err != nil {
		return nil, fmt.Errorf("ask prometheus at %s for the past of %s: %w", p.cfg.URL, id, err)
	}
	out := make([]gpu.Sample, 0, len(points))
	for at, g := range points {
		s := &g.sample
		out = append(out, gpu.Sample{UUID: id, At: at, UtilPercent: s.UtilPercent, MemoryUsedBytes: s.MemoryUsedBytes, PowerWatts: s.PowerWatts, PowerLimitWatts: s.PowerLimitWatts, TempCelsius: s.TempCelsius})
	}
	slices.SortFunc(out, func(a, b gpu.Sample) int { return a.At.Compare(b.At) })
	return out, nil
}

func seconds(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }

// query asks the API and gives each point of the answer to each. Queries are
// long, so they go in the body.
func (p *PrometheusSource) query(ctx context.Context, verb string, form url.Values, each func(series)) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.cfg.URL+"/api/v1/"+verb, strings.NewReader(form.Encode()))
	if err != nil {
		return fmt.Errorf("address not understood: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	body, err := p.asker.do(req)
	if err != nil {
		return err
	}
	defer body.Close()
	return decodeVector(body, each)
}
