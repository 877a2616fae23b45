package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/nomad/plugins/base"
	"github.com/hashicorp/nomad/plugins/device"
	"github.com/hashicorp/nomad/plugins/shared/hclspec"

	"stoker/gpu/sim/load"
)

const (
	pluginName    = "stoker-gpu"
	pluginVersion = "v0.1.0"
	vendor        = "nvidia"
	envCUDA       = "CUDA_VISIBLE_DEVICES"
)

// config is the plugin's config block.
type config struct {
	SimDir            string   `codec:"sim_dir"`
	IgnoredGPUs       []string `codec:"ignored_gpu_ids"`
	FingerprintPeriod string   `codec:"fingerprint_period"`
	HealthyAfter      string   `codec:"healthy_after"`
}

func configSpec() *hclspec.Spec {
	duration := func(name, value string) *hclspec.Spec {
		return hclspec.NewDefault(hclspec.NewAttr(name, "string", false), hclspec.NewLiteral(fmt.Sprintf("%q", value)))
	}
	return hclspec.NewObject(map[string]*hclspec.Spec{
		"sim_dir":            hclspec.NewAttr("sim_dir", "string", false),
		"ignored_gpu_ids":    hclspec.NewDefault(hclspec.NewAttr("ignored_gpu_ids", "list(string)", false), hclspec.NewLiteral("[]")),
		"fingerprint_period": duration("fingerprint_period", "1s"),
		"healthy_after":      duration("healthy_after", "30s"),
	})
}

// plugin is a device.DevicePlugin. SetConfig comes first, then the others, at
// any time and in parallel.
type plugin struct {
	log hclog.Logger
	now func() time.Time

	mu      sync.Mutex
	simDir  string // "" on real GPUs
	period  time.Duration
	monitor *monitor // nil before SetConfig
}

func newPlugin(log hclog.Logger, now func() time.Time) *plugin {
	return &plugin{log: log.Named(pluginName), now: now}
}

// PluginInfo says who this is.
func (p *plugin) PluginInfo() (*base.PluginInfoResponse, error) {
	return &base.PluginInfoResponse{
		Type:              base.PluginTypeDevice,
		PluginApiVersions: []string{device.ApiVersion010},
		PluginVersion:     pluginVersion,
		Name:              pluginName,
	}, nil
}

// ConfigSchema describes the config block.
func (p *plugin) ConfigSchema() (*hclspec.Spec, error) { return configSpec(), nil }

// SetConfig takes the config block. The GPUs are opened when first asked for.
func (p *plugin) SetConfig(c *base.Config) error {
	var cfg config
	if len(c.PluginConfig) != 0 {
		if err := base.MsgPackDecode(c.PluginConfig, &cfg); err != nil {
			return fmt.Errorf("read the config of plugin %s: %w", pluginName, err)
		}
	}
	period, err := positive("fingerprint_period", cfg.FingerprintPeriod, time.Second)
	if err != nil {
		return err
	}
	healthyAfter, err := positive("healthy_after", cfg.HealthyAfter, 30*time.Second)
	if err != nil {
		return err
	}
	if cfg.SimDir != "" {
		if cfg.SimDir, err = filepath.Abs(cfg.SimDir); err != nil {
			return fmt.Errorf("sim_dir: %w", err)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.monitor != nil {
		p.monitor.close()
	}
	p.simDir, p.period = cfg.SimDir, period
	p.monitor = newMonitor(p.log, p.now, cfg.SimDir, cfg.IgnoredGPUs, healthyAfter)
	return nil
}

func positive(name, value string, otherwise time.Duration) (time.Duration, error) {
	if value == "" {
		return otherwise, nil
	}
	d, err := time.ParseDuration(value)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	if d <= 0 {
		return 0, fmt.Errorf("%s: %s is not above zero", name, value)
	}
	return d, nil
}

// configured gives what SetConfig made.
func (p *plugin) configured() (*monitor, string, time.Duration, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.monitor == nil {
		return nil, "", 0, errors.New("the plugin has no config yet")
	}
	return p.monitor, p.simDir, p.period, nil
}

// Reserve says what a task needs to use the devices of these UUIDs, and only
// those: both variables, since raw_exec and exec tasks see every GPU of the
// node but for CUDA's own.
func (p *plugin) Reserve(ids []string) (*device.ContainerReservation, error) {
	m, simDir, period, err := p.configured()
	if err != nil {
		return nil, err
	}
	known := m.devices(period)
	for _, id := range ids {
		if !slices.ContainsFunc(known, func(d offered) bool { return string(d.device.UUID) == id }) {
			return nil, fmt.Errorf("reserve GPU %s: the plugin does not offer it", id)
		}
	}
	list := strings.Join(ids, ",")
	r := &device.ContainerReservation{Envs: map[string]string{load.EnvVisible: list, envCUDA: list}}
	if simDir != "" {
		r.Envs[load.EnvDir] = load.InAlloc
	}
	return r, nil
}

// every calls f at once and then once each interval until the context ends.
func every(ctx context.Context, interval time.Duration, f func()) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		f()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
