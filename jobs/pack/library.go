package pack

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"stoker/cluster/facts"
)

//go:embed library/*.nomad.hcl
var embedded embed.FS

// maxFile bounds a job file; Nomad refuses far smaller ones.
const maxFile = 4 << 20

// ErrUnknown says that there is no pack of that name.
var ErrUnknown = errors.New("no such pack")

// Library is the packs built in and those of the user's folders. Of two packs
// with one name the user's counts, and among Dirs that of the first.
type Library struct{ Dirs []string }

// List gives all packs by name. A file that cannot be used is listed with its
// Err, and hides a pack of the same name that was built in, so that nobody
// runs another job than the one they edited. A folder that cannot be read is
// the error; the packs found elsewhere come with it. A folder that does not
// exist is no error.
func (l Library) List() ([]Pack, error) {
	var out []Pack
	var errs []error
	known := map[string]bool{}
	add := func(packs []Pack, err error) {
		for _, p := range packs {
			if !known[p.Name] {
				known[p.Name] = true
				out = append(out, p)
			}
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	for _, dir := range l.Dirs {
		add(folder(dir))
	}
	add(builtIn())
	slices.SortFunc(out, func(a, b Pack) int { return strings.Compare(a.Name, b.Name) })
	return out, errors.Join(errs...)
}

// Find gives the pack of that name, or an error that says which are there.
func (l Library) Find(name string) (Pack, error) {
	packs, broken := l.List()
	names := make([]string, len(packs))
	for i, p := range packs {
		if p.Name != name {
			names[i] = p.Name
			continue
		}
		if p.Err != nil {
			return p, fmt.Errorf("pack %s cannot be used: %w", name, p.Err)
		}
		return p, nil
	}
	hint := "there are " + strings.Join(names, ", ")
	if meant := facts.Nearest(name, names); meant != "" {
		hint = "did you mean " + meant + "?"
	}
	return Pack{}, errors.Join(fmt.Errorf("%w: %s; %s", ErrUnknown, name, hint), broken)
}

func builtIn() ([]Pack, error) {
	entries, err := embedded.ReadDir("library")
	if err != nil {
		return nil, fmt.Errorf("list the packs built in: %w", err)
	}
	var out []Pack
	for _, e := range entries {
		text, err := embedded.ReadFile("library/" + e.Name())
		if err != nil {
			return nil, fmt.Errorf("read a pack built in: %w", err)
		}
		p := Pack{Name: baseName(e.Name()), Source: string(text)}
		p.Err = p.parse()
		out = append(out, p)
	}
	return out, nil
}

// folder reads the packs of one folder, without its sub-folders.
func folder(dir string) ([]Pack, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list packs: %w", err)
	}
	var out []Pack
	for _, e := range entries {
		name, path := e.Name(), filepath.Join(dir, e.Name())
		if baseName(name) == name || strings.HasPrefix(name, ".") {
			continue
		}
		info, err := os.Stat(path) // follows links, unlike the entry
		if err == nil && !info.Mode().IsRegular() {
			continue
		}
		p := Pack{Name: baseName(name), Path: path}
		switch {
		case err == nil && info.Size() > maxFile:
			err = fmt.Errorf("%s has %d bytes, more than a job file may have", path, info.Size())
		case err == nil:
			var text []byte
			text, err = os.ReadFile(path)
			p.Source = string(text)
		}
		if err == nil {
			err = p.parse()
		}
		if err != nil {
			p.Err, p.Variables = err, nil
		}
		out = append(out, p)
	}
	return out, nil
}
