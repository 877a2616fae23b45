package wire

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestProfile: a CPU profile of the run, and at a signal what there is now.
func TestProfile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "p")
	stop, err := profile(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	read := func(what string) string {
		files, _ := filepath.Glob(filepath.Join(dir, "stoker-*."+what))
		if len(files) != 1 {
			return ""
		}
		text, _ := os.ReadFile(files[0])
		return string(text)
	}
	for end := time.Now().Add(10 * time.Second); !strings.HasPrefix(read("memory"), "heap_bytes "); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("nothing after the signal: %.80q", read("memory"))
		}
	}
	if !strings.HasPrefix(read("goroutines"), "goroutine profile: total") {
		t.Errorf("goroutines: %.80q", read("goroutines"))
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	for _, what := range []string{"cpu", "heap"} {
		if read(what) == "" {
			t.Errorf("no %s profile", what)
		}
	}
	if stop, err := profile(""); err != nil || stop() != nil {
		t.Error("without a folder there is something to do")
	}
}
