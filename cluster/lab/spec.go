package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Which task driver a lab offers beside raw_exec, which is always there.
const (
	DriverAuto    = "auto"     // docker where an engine answers, exec when root
	DriverDocker  = "docker"   // docker, and it is an error when no engine answers
	DriverExec    = "exec"     // no docker
	DriverRawExec = "raw_exec" // neither docker nor exec
)

// What a Grant allows.
const (
	VerbSeal = "seal" // ask Vault for a new data key, and register a model
	VerbOpen = "open" // unwrap a data key
)

// DefaultName is the name of the lab when none is given.
const DefaultName = "lab"

// Spec says what lab to bring up. The zero value of a field means its default
// or, for a lab that exists already, what it was brought up with before.
type Spec struct {
	Name    string // DefaultName unless set; the folder and all ports derive from it
	Dir     string // DefaultDir(Name) unless set
	Servers int    // Nomad servers: 1 or 3
	Nodes   []Node // DefaultNodes() unless set

	NomadBin  string // path of the nomad program
	VaultBin  string // path of the vault program
	PluginBin string // path of the GPU device plugin; without it nodes have no GPUs
	FleetBin  string // path of the fleet's program; needed for a fleet only

	Fleet Fleet // simulated nodes, beside the real ones

	Driver string // one of the Driver constants
	// Chroot adds files and folders of this machine to what a task of the exec
	// driver sees: path here -> path there. The usual small tools and the C
	// library are there anyway.
	Chroot map[string]string

	// Image is given to the engine when the driver is docker.
	Image Image
	// PackVars says what packs must know of the lab; it goes into the context.
	PackVars func(driver, vaultAddr string) map[string]string

	Grants []Grant
	Jobs   []Job // submitted at the end of every Up
}

// Node is one Nomad client.
type Node struct {
	Name string `json:"name"` // lower-case letters, digits and dashes, two characters at least
	GPUs []GPUs `json:"gpus,omitempty"`
	// RealGPUs gives the node the machine's own GPUs instead of simulated ones.
	RealGPUs bool `json:"real_gpus,omitempty"`
}

// GPUs is a number of simulated GPUs of one model.
type GPUs struct {
	Profile string `json:"profile"` // as package gpu/sim names it: "h100", "a100", "l40s", …
	Count   int    `json:"count"`
}

// Grant gives one task of one job the right to use one Vault key in one way.
// Grants for the same verb and key share one Vault role, whose bounds are lists:
// every listed namespace goes with every listed job and task.
type Grant struct {
	Key       string `json:"key"`
	Verb      string `json:"verb"` // VerbSeal or VerbOpen
	Namespace string `json:"namespace"`
	Job       string `json:"job"`
	// Group narrows the Nomad side of a seal grant to one task: Nomad binds a
	// policy to a task only together with its group. Without it the right to
	// write model variables goes to every task of the job.
	Group string `json:"group,omitempty"`
	Task  string `json:"task"`
}

// Job is a Nomad job file that the lab submits as it is.
type Job struct {
	Name string
	HCL  string
	// Vars sets variables of the file. A value that begins with '[' or '{' is
	// passed as an HCL expression, anything else as a string, which HCL turns
	// into a number or a bool where the variable's type says so.
	Vars map[string]string
}

// Progress is one step of bringing a lab up or of building its programs.
type Progress struct {
	Part    string // "vault", "server-1", "gpu-a", "job stoker-agent", "build nomad", …
	Text    string
	Done    bool          // the part is ready
	Elapsed time.Duration // since the call began
	// Expected is the usual length of a long step on two cores; 0 when short.
	Expected time.Duration
}

// DefaultNodes is the fleet of a lab that nobody shaped.
func DefaultNodes() []Node {
	return []Node{
		{Name: "gpu-a", GPUs: []GPUs{{Profile: "h100", Count: 8}}},
		{Name: "gpu-b", GPUs: []GPUs{{Profile: "a100", Count: 8}}},
		{Name: "gpu-c", GPUs: []GPUs{{Profile: "l40s", Count: 4}}},
	}
}

// DefaultDir is the folder of the lab of that name: under XDG_STATE_HOME, which
// is ~/.local/state unless set.
func DefaultDir(name string) (string, error) {
	base := os.Getenv("XDG_STATE_HOME")
	if base == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("find a folder for the lab: %w (set XDG_STATE_HOME or give a folder)", err)
		}
		base = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(base, "stoker", name), nil
}

// filled returns the spec with defaults for what is not set. It sets neither
// Servers nor Nodes: those may come from the lab that exists already.
func (s Spec) filled() (Spec, error) {
	if s.Name == "" {
		s.Name = DefaultName
	}
	if s.Driver == "" {
		s.Driver = DriverAuto
	}
	if s.Dir == "" {
		dir, err := DefaultDir(s.Name)
		if err != nil {
			return s, err
		}
		s.Dir = dir
	}
	dir, err := filepath.Abs(s.Dir)
	if err != nil {
		return s, fmt.Errorf("folder of lab %s: %w", s.Name, err)
	}
	s.Dir = dir
	for i := range s.Grants {
		if s.Grants[i].Namespace == "" {
			s.Grants[i].Namespace = "default"
		}
	}
	return s, nil
}

// A unix socket's path may have 107 bytes, and Nomad puts each task's own at
// <alloc folder>/<alloc id>/<task>/secrets/api.sock. Without that socket a task
// cannot use the task API, and Nomad says so only in its log.
const (
	maxSocketPath = 107
	allocIDLength = 36
	minTaskName   = 12
)

// MaxTaskName is the longest task name whose API socket still fits below dir.
func MaxTaskName(dir string) int {
	return maxSocketPath - len(dir) - len("/0/") - allocIDLength - len("/") - len("/secrets/api.sock")
}

var (
	namePattern = regexp.MustCompile(`^[a-z][a-z0-9-]{1,23}$`)
	keyPattern  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)
)

// reservedNames are the lab's own folders, beside which each node has one.
func reservedNames() []string {
	return []string{"logs", "models", "vault", "plugins", "tmp", "conf", theFleet}
}

func (s Spec) check() error {
	errs := []error{checkDir(s.Dir), checkNodes(s.Nodes)}
	if !namePattern.MatchString(s.Name) {
		errs = append(errs, fmt.Errorf("lab name %q: use 2 to 24 lower-case letters, digits and dashes", s.Name))
	}
	if s.Servers != 1 && s.Servers != 3 {
		errs = append(errs, fmt.Errorf("%d nomad servers: a lab has 1 or 3", s.Servers))
	}
	if !slices.Contains([]string{DriverAuto, DriverDocker, DriverExec, DriverRawExec}, s.Driver) {
		errs = append(errs, fmt.Errorf("driver %q: use auto, docker, exec or raw_exec", s.Driver))
	}
	if s.Driver == DriverExec && os.Geteuid() != 0 {
		errs = append(errs, errors.New("the exec driver needs root: use raw_exec, or run the lab as root"))
	}
	for _, g := range s.Grants {
		errs = append(errs, g.check())
	}
	errs = append(errs, s.Fleet.check(), checkProgram("nomad", s.NomadBin), checkProgram("vault", s.VaultBin))
	if s.Fleet.Nodes > 0 {
		errs = append(errs, checkProgram("fleet", s.FleetBin))
	}
	if s.PluginBin != "" {
		errs = append(errs, checkProgram("device plugin", s.PluginBin))
	}
	return errors.Join(errs...)
}

func checkDir(dir string) error {
	if n := MaxTaskName(dir); n < minTaskName {
		return fmt.Errorf("folder %s has %d bytes and may have %d: the unix sockets of tasks below it would not fit in %d; give a shorter one",
			dir, len(dir), len(dir)+n-minTaskName, maxSocketPath)
	}
	return nil
}

func checkNodes(nodes []Node) error {
	if len(nodes) == 0 || len(nodes) > maxNodes {
		return fmt.Errorf("%d nodes: a lab has 1 to %d", len(nodes), maxNodes)
	}
	seen := map[string]bool{}
	for _, n := range nodes {
		switch {
		case !namePattern.MatchString(n.Name):
			return fmt.Errorf("node name %q: use 2 to 24 lower-case letters, digits and dashes", n.Name)
		case slices.Contains(reservedNames(), n.Name) || strings.HasPrefix(n.Name, "server-"):
			return fmt.Errorf("node name %q is taken by the lab itself: choose another", n.Name)
		case seen[n.Name]:
			return fmt.Errorf("two nodes are named %q", n.Name)
		case n.RealGPUs && len(n.GPUs) > 0:
			return fmt.Errorf("node %s: either real GPUs or simulated ones", n.Name)
		}
		seen[n.Name] = true
	}
	return nil
}

func (g Grant) check() error {
	switch {
	case g.Verb != VerbSeal && g.Verb != VerbOpen:
		return fmt.Errorf("grant on key %q: verb %q: use seal or open", g.Key, g.Verb)
	case !keyPattern.MatchString(g.Key):
		return fmt.Errorf("grant: key name %q: use letters, digits, dots, dashes and underscores", g.Key)
	case g.Job == "" || g.Task == "":
		return fmt.Errorf("grant to %s key %s: job and task must be named", g.Verb, g.Key)
	}
	return nil
}

func checkProgram(what, path string) error {
	if path == "" {
		return fmt.Errorf("no %s program given", what)
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("%s program: %w", what, err)
	}
	if info.IsDir() || info.Mode()&0o111 == 0 {
		return fmt.Errorf("%s program %s cannot be executed", what, path)
	}
	return nil
}
