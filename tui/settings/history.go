package settings

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// mostLines is how many lines of what was typed are kept.
const mostLines = 500

// History is the file with what was typed, a line each, the newest last.
// Programs that run beside each other add to the same file.
type History struct {
	path string
	mu   sync.Mutex
}

// Lines are those kept, the oldest first; none when the file cannot be read.
func (h *History) Lines() []string {
	raw, err := os.ReadFile(h.path)
	if err != nil {
		return nil
	}
	lines := strings.FieldsFunc(string(raw), func(r rune) bool { return r == '\n' })
	return lines[max(len(lines)-mostLines, 0):]
}

// Add keeps one more line. A file that grew to twice what is kept is cut.
func (h *History) Add(line string) error {
	if strings.ContainsAny(line, "\r\n") {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := os.MkdirAll(filepath.Dir(h.path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(h.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.WriteString(line + "\n"); err != nil {
		_ = f.Close()
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return h.cut()
}

func (h *History) cut() error {
	raw, err := os.ReadFile(h.path)
	if err != nil || strings.Count(string(raw), "\n") <= 2*mostLines {
		return err
	}
	next, err := os.CreateTemp(filepath.Dir(h.path), "typed-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = next.WriteString(strings.Join(h.Lines(), "\n") + "\n")
	if closed := next.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(next.Name(), h.path)
	}
	if err != nil {
		_ = os.Remove(next.Name())
	}
	return err
}
