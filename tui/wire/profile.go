package wire

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"sync"
	"syscall"
)

// profileVar names a folder in which the program leaves where its time and
// memory went, for "go tool pprof".
const profileVar = "STOKER_PROFILE"

// profile writes a CPU profile of the whole run into dir, and what is in memory
// and which goroutines there are at the end and whenever SIGUSR1 comes. Without a
// folder it does nothing. stop ends it.
func profile(dir string) (stop func() error, err error) {
	if dir == "" {
		return func() error { return nil }, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("%s: %w", profileVar, err)
	}
	name := func(what string) string { return filepath.Join(dir, fmt.Sprintf("stoker-%d.%s", os.Getpid(), what)) }
	cpu, err := os.Create(name("cpu"))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", profileVar, err)
	}
	if err := pprof.StartCPUProfile(cpu); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", profileVar, err), cpu.Close())
	}
	asked, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(asked, syscall.SIGUSR1)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-asked:
				_ = writeProfiles(name) // the folder may be gone; the next time tells
			case <-done:
				return
			}
		}
	})
	return func() error {
		signal.Stop(asked)
		close(done)
		wg.Wait()
		pprof.StopCPUProfile()
		return errors.Join(cpu.Close(), writeProfiles(name))
	}, nil
}

// writeProfiles writes what is in memory now. Each file is whole as soon as it is there.
func writeProfiles(name func(string) string) error {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	// The shortest comes last: who finds a new one finds the others new too.
	return errors.Join(
		writeProfile(name("heap"), "heap", 0),
		writeProfile(name("goroutines"), "goroutine", 1),
		writeWhole(name("memory"), fmt.Appendf(nil, "heap_bytes %d\ngoroutines %d\n", m.HeapAlloc, runtime.NumGoroutine())),
	)
}

func writeWhole(path string, text []byte) error {
	if err := os.WriteFile(path+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func writeProfile(path, what string, debug int) error {
	var b bytes.Buffer
	if err := pprof.Lookup(what).WriteTo(&b, debug); err != nil {
		return err
	}
	return writeWhole(path, b.Bytes())
}
