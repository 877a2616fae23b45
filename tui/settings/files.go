package settings

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"stoker/cluster/contexts"
	"stoker/tui/theme"
)

// Settings are what the user wrote.
type Settings struct {
	contexts.UI
	Themes map[string]theme.Own
}

// Files reads the settings, and again when a file changed. One goroutine may use
// it at a time.
type Files struct {
	sys   contexts.System
	stamp string
}

// NewFiles reads the config file of this user, and the themes beside it.
func NewFiles(sys contexts.System) *Files { return &Files{sys: sys} }

// Read returns the settings; changed is false, and they are none, when no file
// changed since the last time. After an error, which names file and line, the
// files are read again only when they change.
func (f *Files) Read() (s Settings, changed bool, err error) {
	folder := filepath.Join(filepath.Dir(f.sys.ConfigPath()), "themes")
	themes, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil {
		return Settings{}, false, err
	}
	stamp := stampOf(append(themes, f.sys.ConfigPath()))
	if stamp == f.stamp {
		return Settings{}, false, nil
	}
	f.stamp = stamp
	if s.UI, err = contexts.ReadUI(f.sys); err != nil {
		return Settings{}, true, err
	}
	s.Themes = map[string]theme.Own{}
	for _, path := range themes {
		raw, err := os.ReadFile(path) //nolint:gosec // the user's own file
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return Settings{}, true, err
		}
		own, err := theme.Parse(raw)
		if err != nil {
			return Settings{}, true, fmt.Errorf("theme %s: %w", path, err)
		}
		name := strings.TrimSuffix(filepath.Base(path), ".yaml")
		if slices.Contains(theme.Names(), name) {
			return Settings{}, true, fmt.Errorf("theme %s: %s is a built-in one", path, name)
		}
		s.Themes[name] = own
	}
	return s, true, nil
}

// stampOf changes when a file does, comes or goes.
func stampOf(paths []string) string {
	var b strings.Builder
	for _, p := range paths {
		if info, err := os.Stat(p); err == nil {
			fmt.Fprintln(&b, p, info.ModTime().UnixNano(), info.Size())
		}
	}
	return b.String()
}

// History is what was typed, in a file of the user's state.
func (f *Files) History() *History {
	return &History{path: filepath.Join(f.sys.StateDir(), "typed")}
}
