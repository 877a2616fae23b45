package lab

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

const stateVersion = 1

// state is what state.json holds: enough to find, repair and remove the lab.
// No secret is in it.
type state struct {
	Version   int               `json:"version"`
	Name      string            `json:"name"`
	Mark      string            `json:"mark"` // random; in the environment of every process of the lab
	Created   time.Time         `json:"created"`
	Servers   int               `json:"servers"`
	Nodes     []Node            `json:"nodes"`
	NomadBin  string            `json:"nomad_bin"`
	VaultBin  string            `json:"vault_bin"`
	PluginBin string            `json:"plugin_bin,omitempty"` // the lab's own copy
	FleetBin  string            `json:"fleet_bin,omitempty"`
	Fleet     Fleet             `json:"fleet,omitzero"`
	Driver    string            `json:"driver"` // settled: docker, exec or raw_exec
	Chroot    map[string]string `json:"chroot,omitempty"`
	Images    []string          `json:"images,omitempty"` // every container image that was made, with docker only
	PackVars  map[string]string `json:"pack_vars,omitempty"`
	Grants    []Grant           `json:"grants,omitempty"`
	Procs     map[string]proc   `json:"procs"` // by part

	// Image is the one image that earlier programs knew of; it is read, not written.
	Image string `json:"image,omitempty"`
}

func (s *state) layout() layout { return newLayout(s.Name, s.Servers, len(s.Nodes)) }

func (s *state) addImage(name string) {
	if name != "" && !slices.Contains(s.Images, name) {
		s.Images = append(s.Images, name)
	}
}

// usedDocker tells whether the docker driver was ever offered: containers may be
// there although the lab has another driver by now.
func (s *state) usedDocker() bool { return s.Driver == DriverDocker || len(s.Images) > 0 }

func (s *state) nodeIndex(name string) (int, error) {
	i := slices.IndexFunc(s.Nodes, func(n Node) bool { return n.Name == name })
	if i < 0 {
		return 0, fmt.Errorf("lab %s has no node %q", s.Name, name)
	}
	return i, nil
}

// paths are the files of a lab below its folder.
type paths struct{ dir string }

func (p paths) state() string      { return filepath.Join(p.dir, "state.json") }
func (p paths) context() string    { return filepath.Join(p.dir, "context.yaml") }
func (p paths) nomadToken() string { return filepath.Join(p.dir, "nomad.token") }
func (p paths) vaultToken() string { return filepath.Join(p.dir, "vault.token") }
func (p paths) unsealKey() string  { return filepath.Join(p.dir, "vault.unseal") }
func (p paths) logs() string       { return filepath.Join(p.dir, "logs") }
func (p paths) models() string     { return filepath.Join(p.dir, "models") }
func (p paths) plugins() string    { return filepath.Join(p.dir, "plugins") }
func (p paths) tmp() string        { return filepath.Join(p.dir, "tmp") }
func (p paths) vault() string      { return filepath.Join(p.dir, "vault") }
func (p paths) raft() string       { return filepath.Join(p.vault(), "raft") }
func (p paths) audit() string      { return filepath.Join(p.vault(), "audit.log") }

func (p paths) fleetSocket() string { return filepath.Join(p.dir, "fleet.sock") }

func (p paths) log(part string) string    { return filepath.Join(p.logs(), part+".log") }
func (p paths) config(part string) string { return filepath.Join(p.dir, "conf", part+".hcl") }
func (p paths) data(part string) string   { return filepath.Join(p.dir, part, "nomad") }
func (p paths) sim(node string) string    { return filepath.Join(p.dir, node, "sim") }

// allocs is the allocation folder of the i-th client, short for the sake of the
// unix sockets below it.
func (p paths) allocs(i int) string { return filepath.Join(p.dir, fmt.Sprint(i)) }

// ErrNoLab says that the folder holds no lab.
var ErrNoLab = errors.New("no lab")

func loadState(dir string) (*state, error) {
	text, err := os.ReadFile(paths{dir}.state())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w in %s: bring one up first", ErrNoLab, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("read the state of the lab: %w", err)
	}
	var s state
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, fmt.Errorf("read %s: %w", paths{dir}.state(), err)
	}
	if s.Version != stateVersion {
		return nil, fmt.Errorf("%s has version %d, this program knows %d: take the lab down with the program that made it",
			paths{dir}.state(), s.Version, stateVersion)
	}
	if s.Procs == nil {
		s.Procs = map[string]proc{}
	}
	s.addImage(s.Image)
	s.Image = ""
	return &s, nil
}

func (s *state) save(dir string) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("write the state of the lab: %w", err)
	}
	return writeFile(paths{dir}.state(), append(text, '\n'))
}

// writeFile replaces a file as a whole, readable by its owner only.
func writeFile(path string, text []byte) error {
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	// A key that is lost in a power cut makes the lab's Vault useless.
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

func newState(s Spec, now time.Time) *state {
	return &state{
		Version: stateVersion, Name: s.Name, Mark: rand.Text(), Created: now.UTC(),
		Servers: s.Servers, Nodes: s.Nodes, Procs: map[string]proc{},
	}
}

// lock waits for the folder's lock, which the kernel frees when the holder dies.
// The folder itself is locked: Down may then remove everything inside.
func lock(ctx context.Context, dir string) (unlock func(), err error) {
	for {
		f, err := os.Open(dir)
		if err != nil {
			return nil, fmt.Errorf("lock the lab's folder: %w", err)
		}
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil && sameFile(f, dir) {
			return func() { _ = f.Close() }, nil
		}
		_ = f.Close()
		if err != nil && !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock the lab's folder %s: %w", dir, err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("another program is working on the lab in %s: %w", dir, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// sameFile tells whether the open folder is still the one at path: the holder
// before may have removed it.
func sameFile(f *os.File, path string) bool {
	a, err1 := f.Stat()
	b, err2 := os.Stat(path)
	return err1 == nil && err2 == nil && os.SameFile(a, b)
}
