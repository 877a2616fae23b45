package contexts

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"

	"stoker/secrets"
)

// DefaultNomad is the official default address.
const DefaultNomad = "http://127.0.0.1:4646"

// Context is one cluster as somebody named it.
type Context struct {
	Name       string `yaml:"name"`
	Production bool   `yaml:"production"` // names must be typed before a change
	ReadOnly   bool   `yaml:"read_only"`
	Nomad      Nomad  `yaml:"nomad"`
	Vault      Vault  `yaml:"vault"`
	Agents     Agents `yaml:"agents"`
	// DCGM and Prometheus are further sources of GPU readings; each is off
	// unless it says where it is.
	DCGM       DCGM       `yaml:"dcgm"`
	Prometheus Prometheus `yaml:"prometheus"`
	// PackVars are values for the variables of packs that have them, such as
	// the driver or where Vault is: what is the same for all jobs of a cluster.
	PackVars map[string]string `yaml:"pack_vars"`

	// Configured is false when nothing named a cluster: the official default
	// address is then only a guess.
	Configured bool `yaml:"-"`
	// Named says that --context finds it again; what only the environment says
	// has no name of its own.
	Named bool `yaml:"-"`

	cluster string // its name without the region
}

// EveryRegion as a region stands for all that the servers know.
const EveryRegion = "*"

// Cluster is what the context is called without the region.
func (c *Context) Cluster() string { return cmp.Or(c.cluster, c.Name) }

// In is the context for one region of its Nomad.
func (c Context) In(region string) Context {
	c.cluster = c.Cluster()
	c.Name = c.cluster + "/" + region
	c.Nomad.Region, c.Nomad.Regions = region, nil
	return c
}

// Nomad is where a Nomad is, by the names of its own variables.
type Nomad struct {
	Address string `yaml:"address"`
	Region  string `yaml:"region"` // EveryRegion shows all together
	// Regions are shown together; Region is empty then.
	Regions       []string `yaml:"regions"`
	Namespace     string   `yaml:"namespace"`
	TokenFile     string   `yaml:"token_file"`
	CACert        string   `yaml:"ca_cert"`
	CAPath        string   `yaml:"ca_path"`
	ClientCert    string   `yaml:"client_cert"`
	ClientKey     string   `yaml:"client_key"`
	TLSServerName string   `yaml:"tls_server_name"`
	SkipVerify    bool     `yaml:"tls_skip_verify"`

	token secrets.Secret // of the environment
}

// Vault is where a Vault is. An empty Address means that none is configured.
type Vault struct {
	Address       string `yaml:"address"`
	Namespace     string `yaml:"namespace"`
	TokenFile     string `yaml:"token_file"`
	CACert        string `yaml:"ca_cert"`
	CAPath        string `yaml:"ca_path"`
	ClientCert    string `yaml:"client_cert"`
	ClientKey     string `yaml:"client_key"`
	TLSServerName string `yaml:"tls_server_name"`
	SkipVerify    bool   `yaml:"tls_skip_verify"`
	Transit       string `yaml:"transit"` // mount of the Transit engine, "transit" unless set

	token secrets.Secret // of the environment
}

// Agents says which services are trusted as stoker agents: those that this job
// registered in this namespace. Anyone may register a service of that name.
type Agents struct {
	Namespace string `yaml:"namespace"`
	Job       string `yaml:"job"`
	TokenFile string `yaml:"token_file"`
	// TLS demands it of every agent, whatever its registration says. Any of the
	// fields below demands it too.
	TLS           bool   `yaml:"tls"`
	CACert        string `yaml:"ca_cert"`
	ClientCert    string `yaml:"client_cert"`
	ClientKey     string `yaml:"client_key"`
	TLSServerName string `yaml:"tls_server_name"`
}

// Encrypted tells whether agents may be read over TLS only.
func (a Agents) Encrypted() bool {
	return a.TLS || a.CACert != "" || a.ClientCert != "" || a.ClientKey != "" || a.TLSServerName != ""
}

// System is what is read of the machine.
type System struct {
	Getenv func(string) string
	Home   string
}

// ConfigPath is $XDG_CONFIG_HOME/stoker/config.yaml, or STOKER_CONFIG.
func (s System) ConfigPath() string {
	if p := s.Getenv("STOKER_CONFIG"); p != "" {
		return p
	}
	return filepath.Join(s.xdg("XDG_CONFIG_HOME", ".config"), "stoker", "config.yaml")
}

// StateDir is $XDG_STATE_HOME/stoker: labs, the audit file, logs.
func (s System) StateDir() string {
	return filepath.Join(s.xdg("XDG_STATE_HOME", ".local/state"), "stoker")
}

// CacheDir is $XDG_CACHE_HOME/stoker.
func (s System) CacheDir() string {
	return filepath.Join(s.xdg("XDG_CACHE_HOME", ".cache"), "stoker")
}

func (s System) xdg(name, fallback string) string {
	if p := s.Getenv(name); p != "" {
		return p
	}
	return filepath.Join(s.Home, fallback)
}

// file is the whole config file.
type file struct {
	Current  string             `yaml:"current"`
	Contexts map[string]Context `yaml:"contexts"`
	UI       UI                 `yaml:"ui"`
}

// All returns every named context, sorted by name. A broken file is an error
// that names the line.
func All(sys System) ([]Context, string, error) {
	f, err := readConfig(sys)
	if err != nil {
		return nil, "", err
	}
	labs, err := filepath.Glob(filepath.Join(sys.StateDir(), "*", "context.yaml"))
	if err != nil {
		return nil, "", err
	}
	for _, path := range labs {
		var c Context
		err := readYAML(path, &c)
		if errors.Is(err, fs.ErrNotExist) {
			continue // the lab went down in between
		}
		if err != nil {
			return nil, "", err
		}
		if _, taken := f.Contexts[c.Name]; !taken && c.Name != "" {
			f.Contexts[c.Name] = c
		}
	}
	var out []Context
	for name, c := range f.Contexts {
		c.Name, c.Configured, c.Named = name, true, true
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b Context) int { return strings.Compare(a.Name, b.Name) })
	return out, f.Current, nil
}

// readConfig reads the config file, which need not be there unless it was named.
func readConfig(sys System) (file, error) {
	f := file{Contexts: map[string]Context{}}
	err := readYAML(sys.ConfigPath(), &f)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
		if path := sys.Getenv("STOKER_CONFIG"); path != "" {
			err = fmt.Errorf("%w %s, which STOKER_CONFIG names, is not there", ErrConfig, path)
		}
	}
	if f.Contexts == nil {
		f.Contexts = map[string]Context{}
	}
	return f, err
}

func readYAML(path string, into any) error {
	raw, err := os.ReadFile(path) //nolint:gosec // the user's own file
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil
	}
	if err := yaml.UnmarshalWithOptions(raw, into, yaml.Strict()); err != nil {
		return fmt.Errorf("%w %s: %w", ErrConfig, path, err)
	}
	return nil
}

// ErrConfig is a config file that cannot be read as one.
var ErrConfig = errors.New("config file")

// ErrAddress is an address that nothing can be reached at.
var ErrAddress = errors.New("no URL")

// ErrUnknown is returned by Resolve for a name that no context has.
var ErrUnknown = errors.New("no such context")

// ErrSeveral is returned by Resolve for a name that stands for several contexts.
var ErrSeveral = errors.New("several clusters are named")

// Every is the name that stands for every named context.
const Every = "all"

// Resolve picks one context: by name, else STOKER_CONTEXT, else the file's
// current one unless NOMAD_ADDR is set, else what the environment says.
func Resolve(sys System, name string) (Context, error) {
	list, err := ResolveAll(sys, name)
	if err != nil {
		return Context{}, err
	}
	if len(list) > 1 {
		return Context{}, fmt.Errorf("%w: %s", ErrSeveral, names(list))
	}
	return list[0], nil
}

// ResolveAll is Resolve for names with commas between them, or Every: the
// contexts in the order in which they are named, each once.
func ResolveAll(sys System, name string) ([]Context, error) {
	all, current, err := All(sys)
	if err != nil {
		return nil, err
	}
	if name == "" {
		name = sys.Getenv("STOKER_CONTEXT")
	}
	if name == "" && sys.Getenv("NOMAD_ADDR") == "" {
		name = current
	}
	picked := []Context{{Name: "default", Configured: sys.Getenv("NOMAD_ADDR") != ""}}
	if name != "" {
		if picked, err = pick(all, name); err != nil {
			return nil, err
		}
	}
	for i := range picked {
		picked[i].fill(sys)
		if err := picked[i].check(sys); err != nil {
			return nil, err
		}
	}
	return picked, nil
}

// pick finds contexts by what was typed: a name, else names with commas between them.
func pick(all []Context, typed string) ([]Context, error) {
	if i := slices.IndexFunc(all, func(c Context) bool { return c.Name == typed }); i >= 0 {
		return []Context{all[i]}, nil
	}
	if typed == Every && len(all) > 0 {
		return all, nil
	}
	var picked []Context
	for name := range strings.SplitSeq(typed, ",") {
		c, err := find(all, strings.TrimSpace(name))
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(picked, func(o Context) bool { return o.Name == c.Name }) {
			picked = append(picked, c)
		}
	}
	return picked, nil
}

// find finds one context by its name, or by that and a region behind a slash.
func find(all []Context, name string) (Context, error) {
	at := func(name string) int { return slices.IndexFunc(all, func(c Context) bool { return c.Name == name }) }
	if i := at(name); i >= 0 {
		return all[i], nil
	}
	if slash := strings.LastIndexByte(name, '/'); slash > 0 && slash < len(name)-1 {
		if i := at(name[:slash]); i >= 0 {
			return all[i].In(name[slash+1:]), nil
		}
	}
	return Context{}, fmt.Errorf("%w: %q (known: %s)", ErrUnknown, name, names(all))
}

// check finds an address that is none, and says where it comes from.
func (c *Context) check(sys System) error {
	if c.Nomad.Region != "" && len(c.Nomad.Regions) > 0 {
		return fmt.Errorf("%w: context %s: nomad.region and nomad.regions are one or the other", ErrConfig, c.Name)
	}
	if a := c.Agents; (a.ClientCert == "") != (a.ClientKey == "") {
		return fmt.Errorf("%w: context %s: agents.client_cert and agents.client_key go together", ErrConfig, c.Name)
	}
	for _, a := range []struct{ address, variable, key string }{
		{c.Nomad.Address, "NOMAD_ADDR", "nomad address"}, {c.Vault.Address, "VAULT_ADDR", "vault address"}, {c.Prometheus.URL, "", "prometheus url"},
	} {
		if u, err := url.Parse(a.address); a.address == "" || err == nil && u.Host != "" {
			continue
		}
		where := fmt.Sprintf("context %s, %s", c.Name, a.key)
		if a.variable != "" && sys.Getenv(a.variable) == a.address {
			where = a.variable
		}
		return fmt.Errorf("%s: %w like https://host:port: %q", where, ErrAddress, a.address)
	}
	return c.DCGM.check(c.Name)
}

func names(all []Context) string {
	if len(all) == 0 {
		return "none; stoker lab up makes one called lab"
	}
	var out []string
	for _, c := range all {
		out = append(out, c.Name)
	}
	return strings.Join(out, ", ")
}

// fill completes a context from the official variables and their defaults.
func (c *Context) fill(sys System) {
	n, v := &c.Nomad, &c.Vault
	// A token belongs to the address it was made for: where the context names
	// the server, the environment's token is meant for another.
	if n.Address == "" && n.TokenFile == "" {
		n.token = secrets.New(sys.Getenv("NOMAD_TOKEN"))
	}
	env := func(into *string, name, fallback string) {
		if *into == "" {
			*into = sys.Getenv(name)
		}
		if *into == "" {
			*into = fallback
		}
	}
	named := n.Address != ""
	env(&n.Address, "NOMAD_ADDR", DefaultNomad)
	if !named {
		env(&n.Region, "NOMAD_REGION", "")
		env(&n.Namespace, "NOMAD_NAMESPACE", "")
		env(&n.CACert, "NOMAD_CACERT", "")
		env(&n.CAPath, "NOMAD_CAPATH", "")
		env(&n.ClientCert, "NOMAD_CLIENT_CERT", "")
		env(&n.ClientKey, "NOMAD_CLIENT_KEY", "")
		env(&n.TLSServerName, "NOMAD_TLS_SERVER_NAME", "")
		n.SkipVerify = n.SkipVerify || truth(sys.Getenv("NOMAD_SKIP_VERIFY"))
	}
	if v.Address == "" && !named {
		if v.TokenFile == "" {
			v.token = secrets.New(sys.Getenv("VAULT_TOKEN"))
		}
		env(&v.Address, "VAULT_ADDR", "")
		env(&v.Namespace, "VAULT_NAMESPACE", "")
		env(&v.CACert, "VAULT_CACERT", "")
		env(&v.CAPath, "VAULT_CAPATH", "")
		env(&v.ClientCert, "VAULT_CLIENT_CERT", "")
		env(&v.ClientKey, "VAULT_CLIENT_KEY", "")
		env(&v.TLSServerName, "VAULT_TLS_SERVER_NAME", "")
		v.SkipVerify = v.SkipVerify || truth(sys.Getenv("VAULT_SKIP_VERIFY"))
	}
	if v.TokenFile == "" && v.token.Empty() {
		v.TokenFile = filepath.Join(sys.Home, ".vault-token")
	}
	if v.Transit == "" {
		v.Transit = "transit"
	}
	c.Agents.Namespace = cmp.Or(c.Agents.Namespace, "default")
	c.Agents.Job = cmp.Or(c.Agents.Job, "stoker-agent")
	c.DCGM.Namespace = cmp.Or(c.DCGM.Namespace, "default")
	c.DCGM.Scheme = cmp.Or(c.DCGM.Scheme, "http")
	c.DCGM.Path = "/" + strings.TrimPrefix(cmp.Or(c.DCGM.Path, "/metrics"), "/")
}

func truth(s string) bool { return s == "1" || strings.EqualFold(s, "true") }

// Token is Nomad's token source: empty means anonymous.
func (n Nomad) Token(context.Context) (secrets.Secret, error) { return token(n.token, n.TokenFile) }

// TokenOrigin is where Token takes it from: the path of a file, or the name of a variable.
func (n Nomad) TokenOrigin() (file, variable string) {
	return origin(n.token, n.TokenFile, "NOMAD_TOKEN")
}

// TokenOrigin is where Token takes it from: the path of a file, or the name of a variable.
func (v Vault) TokenOrigin() (file, variable string) {
	return origin(v.token, v.TokenFile, "VAULT_TOKEN")
}

func origin(value secrets.Secret, path, name string) (file, variable string) {
	if !value.Empty() {
		return "", name
	}
	return path, ""
}

// Token is Vault's token source.
func (v Vault) Token(context.Context) (secrets.Secret, error) { return token(v.token, v.TokenFile) }

// Token is the bearer token for agents; empty sends none.
func (a Agents) Token(context.Context) (secrets.Secret, error) {
	return token(secrets.Secret{}, a.TokenFile)
}

func token(value secrets.Secret, path string) (secrets.Secret, error) {
	if !value.Empty() || path == "" {
		return value, nil
	}
	raw, err := os.ReadFile(path) //nolint:gosec // the user's own file
	if errors.Is(err, fs.ErrNotExist) {
		return secrets.New(""), nil
	}
	if err != nil {
		return secrets.Secret{}, fmt.Errorf("token file: %w", err)
	}
	return secrets.New(strings.TrimSpace(string(raw))), nil
}
