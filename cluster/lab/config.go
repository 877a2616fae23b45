package lab

import (
	"bytes"
	"fmt"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"text/template"
)

// Names that packs and other parts of stoker rely on.
const (
	transitPath = "transit"
	kvPath      = "secret"
	jwtPath     = "jwt-nomad"
	defaultRole = "nomad-workloads"
	pluginName  = "stoker-device-gpu"

	// VolumeModels is the Nomad host volume with the models, one folder for all nodes.
	VolumeModels = "models"
	// MetaSim and MetaModels are the node meta keys that hold the folder of the
	// node's simulated GPUs and that of the models, as paths of this machine.
	MetaSim    = "stoker_sim"
	MetaModels = "stoker_models"
	// AgentJob is the job whose registrations the lab's context trusts as agents.
	AgentJob = "stoker-agent"
)

const vaultConfig = `# written by stoker: changes are overwritten
api_addr      = {{q .URL}}
cluster_addr  = {{q .ClusterURL}}
disable_mlock = true
log_level     = "info"

# A lone node waits for its own election: the default multiplier is made for
# slow networks and costs 7 s at each start.
storage "raft" {
  path                   = {{q .Data}}
  node_id                = "vault"
  performance_multiplier = 1
}

listener "tcp" {
  address         = {{q .Addr}}
  cluster_address = {{q .ClusterAddr}}
  tls_disable     = true
}
`

// Both kinds of agent begin alike. Everything shares one address with the
// people who look at it, so the limits per address of Nomad are lifted.
const agentConfig = `# written by stoker: changes are overwritten
name                 = {{q .Name}}
data_dir             = {{q .Data}}
bind_addr            = {{q .At.IP}}
disable_update_check = true
log_level            = "INFO"
leave_on_interrupt   = false
leave_on_terminate   = false

advertise {
  http = {{q (.At.Addr .At.HTTP)}}
  rpc  = {{q (.At.Addr .At.RPC)}}
  serf = {{q (.At.Addr .At.Serf)}}
}

ports {
  http = {{.At.HTTP}}
  rpc  = {{.At.RPC}}
  serf = {{.At.Serf}}
}

limits {
  http_max_conns_per_client = 0
  rpc_max_conns_per_client  = 0
}

acl {
  enabled = true
}

consul {
  auto_advertise   = false
  server_auto_join = false
  client_auto_join = false
}

telemetry {
  collection_interval        = "1s"
  publish_allocation_metrics = true
  publish_node_metrics       = true
  prometheus_metrics         = true
}
`

// With these a node counts as down 8 to 12 s after its last heartbeat: the
// server draws the time to the next from one to two times min_heartbeat_ttl. The
// nodes of a fleet beat less often, see Fleet.
const serverConfig = `
server {
  enabled                = true
  bootstrap_expect       = {{.Servers}}
  min_heartbeat_ttl      = "4s"
  heartbeat_grace        = {{q .Grace}}
  failover_heartbeat_ttl = {{q .Failover}}
{{- if .Join}}

  server_join {
    retry_join     = [{{list .Join}}]
    retry_interval = "1s"
  }
{{- end}}
}

vault {
  enabled = true

  default_identity {
    aud = ["vault.io"]
    ttl = "1h"
  }
}
`

// cpu_total_compute: a lab's nodes stand for GPU servers, and jobs sized for
// those should fit; it is a weight only. Memory stays what this machine has.
// gc_*_threshold: a full disk of this machine must not remove stopped
// allocations under somebody's eyes. fingerprint_period: Nomad's client holds
// what a plugin tells back for 5 to 10 s, and a failed GPU should be known in 10.
const clientConfig = `
client {
  enabled           = true
  servers           = [{{list .Join}}]
  network_interface = "lo"
  min_dynamic_port  = {{.At.MinTask}}
  max_dynamic_port  = {{.At.MaxTask}}
  alloc_dir         = {{q .Allocs}}
  alloc_mounts_dir  = {{q .Mounts}}
  cpu_total_compute = 64000
  max_kill_timeout  = "60s"

  gc_disk_usage_threshold  = 99
  gc_inode_usage_threshold = 99

  options {
    "fingerprint.denylist" = "env_aws,env_gce,env_azure,env_digitalocean,consul"
    "driver.denylist"      = {{q .Denied}}
  }

  host_volume {{q .ModelsVolume}} {
    path      = {{q .Models}}
    read_only = false
  }

  meta {
    {{.MetaModels}} = {{q .Models}}
{{- if .Sim}}
    {{.MetaSim}} = {{q .Sim}}
{{- end}}
  }
{{- if .Chroot}}

  chroot_env {
{{- range .Chroot}}
    {{q .From}} = {{q .To}}
{{- end}}
  }
{{- end}}
}

vault {
  enabled               = true
  address               = {{q .VaultURL}}
  jwt_auth_backend_path = {{q .JWTPath}}
  create_from_role      = {{q .Role}}
}

plugin "raw_exec" {
  config {
    enabled = true
  }
}
{{- if .Docker}}

# Clients that share one engine would remove each other's containers and images,
# and a task with GPUs is refused unless the NVIDIA runtime it names exists.
plugin "docker" {
  config {
{{- if .Sim}}
    nvidia_runtime = "runc"
{{- end}}

    gc {
      image = false

      dangling_containers {
        enabled = false
      }
    }
  }
}
{{- end}}
{{- if .Plugin}}

plugin {{q .PluginName}} {
  config {
{{- if .Sim}}
    sim_dir            = {{q .Sim}}
    fingerprint_period = "250ms"
{{- end}}
  }
}
{{- end}}
`

type mapping struct{ From, To string }

// agentParams feeds the templates of servers and clients.
type agentParams struct {
	Name, Data string
	At         templateAddr
	Join       []string // rpc addresses for clients, serf addresses for servers
	Servers    int
	Failover   string
	Grace      string
	// clients only
	Allocs, Mounts, Models, Sim string
	ModelsVolume                string
	MetaModels, MetaSim         string
	Denied, VaultURL, JWTPath   string
	Role, PluginName            string
	Chroot                      []mapping
	Docker, Plugin              bool
}

type templateAddr struct{ agentAddr }

func (a templateAddr) Addr(port int) string { return a.addr(port) }

func render(name, text string, data any) ([]byte, error) {
	t, err := template.New(name).Funcs(template.FuncMap{
		"q": strconv.Quote,
		"list": func(items []string) string {
			quoted := make([]string, len(items))
			for i, s := range items {
				quoted[i] = strconv.Quote(s)
			}
			return strings.Join(quoted, ", ")
		},
	}).Parse(text)
	if err != nil {
		return nil, fmt.Errorf("configuration of %s: %w", name, err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		return nil, fmt.Errorf("configuration of %s: %w", name, err)
	}
	return b.Bytes(), nil
}

func renderVault(p paths, l layout) ([]byte, error) {
	return render("vault", vaultConfig, map[string]string{
		"URL": l.vaultURL(), "Addr": l.Vault, "ClusterURL": "https://" + l.VaultCluster,
		"ClusterAddr": l.VaultCluster, "Data": p.raft(),
	})
}

func serverName(i int) string { return fmt.Sprintf("server-%d", i+1) }

func renderServer(p paths, l layout, i int, f Fleet) ([]byte, error) {
	params := agentParams{
		Name: serverName(i), Data: p.data(serverName(i)), At: templateAddr{l.Servers[i]}, Servers: len(l.Servers),
		Failover: "20s", Grace: "4s",
	}
	if f.Nodes > 0 {
		params.Failover, params.Grace = f.failover().String(), fleetGrace.String()
	}
	for k, other := range l.Servers {
		if k != i {
			params.Join = append(params.Join, other.addr(other.Serf))
		}
	}
	return render(params.Name, agentConfig+serverConfig, params)
}

func renderClient(p paths, s *state, i int, base []mapping, root bool) ([]byte, error) {
	l, node := s.layout(), s.Nodes[i]
	params := agentParams{
		Name: node.Name, Data: p.data(node.Name), At: templateAddr{l.Clients[i]},
		Allocs: p.allocs(i), Mounts: filepath.Join(p.dir, node.Name, "mounts"),
		Models: p.models(), ModelsVolume: VolumeModels, MetaModels: MetaModels,
		MetaSim: MetaSim,
		Denied:  strings.Join(deniedDrivers(s.Driver, root), ","), Docker: s.Driver == DriverDocker,
		VaultURL: l.vaultURL(), JWTPath: jwtPath, Role: defaultRole,
		Plugin: s.PluginBin != "" && (node.RealGPUs || len(node.GPUs) > 0), PluginName: pluginName,
	}
	if len(node.GPUs) > 0 {
		params.Sim = p.sim(node.Name)
	}
	for _, srv := range l.Servers {
		params.Join = append(params.Join, srv.addr(srv.RPC))
	}
	if s.Driver != DriverRawExec {
		params.Chroot = base
		for from, to := range s.Chroot {
			params.Chroot = append(params.Chroot, mapping{from, to})
		}
		sort.Slice(params.Chroot, func(a, b int) bool { return params.Chroot[a].To < params.Chroot[b].To })
	}
	text := agentConfig + clientConfig
	if params.Plugin {
		text = fmt.Sprintf("plugin_dir = %q\n", p.plugins()) + text
	}
	return render(node.Name, text, params)
}

// deniedDrivers are those that the machine might offer and the lab does not.
func deniedDrivers(driver string, root bool) []string {
	denied := []string{"java", "qemu", "mock_driver"}
	switch {
	case driver == DriverExec:
		return append(denied, "docker")
	case driver == DriverRawExec:
		return append(denied, "docker", "exec")
	case !root:
		return append(denied, "exec")
	}
	return denied
}

// chrootBase is what a task of the exec driver finds in its chroot: a shell, the
// small tools and the C library. Nomad's default is all of /usr, which takes
// seconds and gigabytes for each task.
func chrootBase() []mapping {
	var found []mapping
	seen := map[string]bool{}
	add := func(from, to string) {
		real, err := filepath.EvalSymlinks(from)
		// Nomad keys its table by the source, so one file has one place.
		if err == nil && !seen[real] {
			seen[real] = true
			found = append(found, mapping{real, to})
		}
	}
	for _, tool := range []string{
		"sh", "bash", "awk", "base64", "basename", "cat", "chmod", "cp", "cut", "date", "dd", "df", "dirname", "du",
		"echo", "env", "expr", "false", "find", "grep", "head", "hostname", "id", "kill", "ln", "ls", "mkdir", "mktemp", "mount",
		"mv", "nproc", "printf", "pwd", "readlink", "rm", "sed", "seq", "sha256sum", "sleep", "sort", "stat", "tail",
		"tar", "tee", "test", "timeout", "touch", "tr", "true", "uname", "uniq", "wc", "xargs",
	} {
		add("/bin/"+tool, "/bin/"+tool)
	}
	for _, pattern := range []string{
		"/lib64/ld-linux-*.so*", "/lib/ld-linux-*.so*", "/lib/ld-musl-*.so*",
		"/lib/*-linux-gnu*/lib[cm].so.6", "/lib64/lib[cm].so.6",
	} {
		addGlob(add, pattern)
	}
	for _, lib := range []string{"dl", "pthread", "rt", "resolv", "gcc_s", "stdc++", "tinfo", "selinux", "pcre2-8", "acl", "attr", "crypto", "systemd", "mount", "blkid", "gmp", "mpfr", "readline", "sigsegv", "nss_dns", "nss_files", "cap", "gcrypt", "lzma", "zstd", "lz4", "gpg-error"} {
		addGlob(add, "/lib/*-linux-gnu*/lib"+lib+".so.?")
		addGlob(add, "/lib64/lib"+lib+".so.?")
	}
	for _, file := range []string{
		"/etc/passwd", "/etc/group", "/etc/hosts", "/etc/nsswitch.conf", "/etc/resolv.conf", "/etc/localtime",
		"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
	} {
		add(file, file)
	}
	return found
}

func addGlob(add func(from, to string), pattern string) {
	files, _ := filepath.Glob(pattern)
	for _, f := range files {
		add(f, f)
	}
}
