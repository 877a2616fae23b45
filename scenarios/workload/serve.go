package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"sync/atomic"
	"time"

	"stoker/scenarios/workload/artifact"
	"stoker/scenarios/workload/gpuload"
	"stoker/scenarios/workload/serve"
)

// What a served model holds of a simulated GPU: the runtime, then the weights.
const (
	baseBytes  = 512 << 20
	modelBytes = 2560 << 20
)

func (c command) serve(ctx context.Context, args []string) (err error) {
	f := flag.NewFlagSet("serve", flag.ContinueOnError)
	dir := f.String("model", "", "model folder, loaded into memory at the start")
	addr := f.String("listen", "127.0.0.1:8000", "ADDR:PORT to serve on")
	name := f.String("name", c.getenv("STOKER_MODEL"), "name to serve under (env STOKER_MODEL; default: the model's own)")
	version := f.String("version", c.getenv("STOKER_VERSION"), "version to serve under (env STOKER_VERSION; default: the model's own)")
	delay := f.Duration("delay", 0, "service time to add to each request")
	if err := c.parse(f, args); err != nil {
		return err
	}
	if *dir == "" || *delay < 0 {
		return fmt.Errorf("%w: give --model DIR, and no --delay below 0", errUsage)
	}
	meter := gpuload.NewMeter(time.Now)
	server := serve.New(serve.Options{Name: *name, Version: *version, Delay: *delay, Now: time.Now, Worked: meter.Add})
	e, err := listen(*addr, server.Handler())
	if err != nil {
		return err
	}
	defer func() {
		server.Stop()
		err = errors.Join(err, e.close())
	}()
	var memory atomic.Uint64
	memory.Store(baseBytes)
	gpus, err := c.reportLoad(func() (float64, uint64) { return meter.Util(), memory.Load() })
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, gpus.Close()) }()
	if err := c.load(server, *dir, e); err != nil {
		return err
	}
	memory.Add(modelBytes)
	select {
	case <-ctx.Done():
		fmt.Fprintln(c.stdout, "stopping")
		return nil
	case err := <-e.failed:
		return fmt.Errorf("serve on %s: %w", e.addr, err)
	}
}

func (c command) load(server *serve.Server, dir string, e *endpoint) error {
	folder, err := artifact.ReadDir(dir)
	if err != nil {
		return err
	}
	if err := server.Load(folder); err != nil {
		return err
	}
	name, version, _ := server.Serving()
	if m := folder.Model; name != m.Name || version != m.Version {
		fmt.Fprintf(c.stderr, "workload: the folder holds %s version %s, served as %s version %s\n", m.Name, m.Version, name, version)
	}
	fmt.Fprintf(c.stdout, "serving %s version %s on http://%s\n", name, version, e.addr)
	return nil
}
