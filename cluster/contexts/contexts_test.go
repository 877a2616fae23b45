package contexts_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"stoker/cluster/contexts"
	"stoker/secrets"
)

// machine is a home folder and an environment of its own.
type machine struct {
	t    *testing.T
	home string
	env  map[string]string
}

func newMachine(t *testing.T, env ...string) *machine {
	t.Helper()
	m := &machine{t: t, home: t.TempDir(), env: map[string]string{}}
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		m.env[name] = value
	}
	return m
}

func (m *machine) sys() contexts.System {
	return contexts.System{Getenv: func(name string) string { return m.env[name] }, Home: m.home}
}

// put writes a file below the home folder and returns its path.
func (m *machine) put(name, text string) string {
	m.t.Helper()
	path := filepath.Join(m.home, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
	return path
}

func (m *machine) config(text string) { m.put(".config/stoker/config.yaml", text) }

func (m *machine) lab(name, text string) { m.put(".local/state/stoker/"+name+"/context.yaml", text) }

func (m *machine) resolve(name string) contexts.Context {
	m.t.Helper()
	c, err := contexts.Resolve(m.sys(), name)
	if err != nil {
		m.t.Fatal(err)
	}
	return c
}

func reveal(t *testing.T, source func(context.Context) (secrets.Secret, error)) string {
	t.Helper()
	s, err := source(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return s.Reveal()
}

const two = `
current: blue
contexts:
  blue:
    nomad: {address: "http://blue:4646"}
  green:
    production: true
    read_only: true
    nomad: {address: "https://green:4646", region: eu, namespace: prod}
    vault: {address: "https://green:8200", transit: keys}
    agents: {namespace: system, job: watcher}
    pack_vars: {driver: docker, vault_addr: "https://green:8200"}
`

func TestPlaces(t *testing.T) {
	m := newMachine(t)
	want := []string{m.home + "/.config/stoker/config.yaml", m.home + "/.local/state/stoker", m.home + "/.cache/stoker"}
	got := []string{m.sys().ConfigPath(), m.sys().StateDir(), m.sys().CacheDir()}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	m.env = map[string]string{"XDG_CONFIG_HOME": "/c", "XDG_STATE_HOME": "/s", "XDG_CACHE_HOME": "/k"}
	got = []string{m.sys().ConfigPath(), m.sys().StateDir(), m.sys().CacheDir()}
	if d := cmp.Diff([]string{"/c/stoker/config.yaml", "/s/stoker", "/k/stoker"}, got); d != "" {
		t.Error(d)
	}
	m.env["STOKER_CONFIG"] = "/elsewhere.yaml"
	if got := m.sys().ConfigPath(); got != "/elsewhere.yaml" {
		t.Errorf("STOKER_CONFIG is not obeyed: %s", got)
	}
}

func TestStrict(t *testing.T) {
	for name, c := range map[string]struct{ text, line, says string }{
		"unknown field":  {"current: a\ncontexts:\n  a:\n    productoin: true\n", "[4:", "productoin"},
		"wrong type":     {"contexts:\n  a:\n    production: perhaps\n", "[3:", "production"},
		"duplicate key":  {"contexts:\n  a: {}\n  a: {}\n", "[3:", "a"},
		"broken":         {"current: a\ncontexts: {\n", "[2:", ""},
		"a list":         {"- a\n", "[1:", ""},
		"in a inner map": {"contexts:\n  a:\n    nomad:\n      adress: http://x\n", "[4:", "adress"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			m.config(c.text)
			_, err := contexts.Resolve(m.sys(), "")
			if !errors.Is(err, contexts.ErrConfig) {
				t.Fatalf("want ErrConfig, got %v", err)
			}
			for _, part := range []string{m.sys().ConfigPath(), c.line, c.says} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("the error does not name %q: %v", part, err)
				}
			}
		})
	}
}

func TestEmptyConfig(t *testing.T) {
	for name, text := range map[string]string{"empty": "", "blank": " \n\n", "comment": "# nothing yet\n", "no contexts": "contexts:\n"} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			m.config(text)
			m.lab("lab", "name: lab\nnomad: {address: \"http://127.0.0.1:1\"}\n")
			if c := m.resolve("lab"); c.Nomad.Address != "http://127.0.0.1:1" {
				t.Errorf("got %+v", c)
			}
		})
	}
}

func TestLabs(t *testing.T) {
	m := newMachine(t)
	m.config("contexts:\n  green: {nomad: {address: \"http://named:1\"}}\n")
	m.lab("lab", "name: lab\nnomad: {address: \"http://127.0.0.1:1\"}\npack_vars: {driver: raw_exec}\n")
	m.lab("second", "name: second\nnomad: {address: \"http://127.0.0.1:2\"}\n")
	m.lab("green", "name: green\nnomad: {address: \"http://127.0.0.1:3\"}\n") // the user's own wins
	m.lab("nameless", "nomad: {address: \"http://127.0.0.1:4\"}\n")
	if err := os.Symlink("gone", filepath.Join(filepath.Dir(m.put(".local/state/stoker/leaving/state.json", "{}")), "context.yaml")); err != nil {
		t.Fatal(err) // a lab whose context goes away between finding and reading it
	}
	all, current, err := contexts.All(m.sys())
	if err != nil || current != "" {
		t.Fatalf("current %q, %v", current, err)
	}
	var got []string
	for _, c := range all {
		if !c.Configured {
			t.Errorf("%s is not configured", c.Name)
		}
		got = append(got, c.Name+" "+c.Nomad.Address+" "+c.PackVars["driver"])
	}
	want := []string{"green http://named:1 ", "lab http://127.0.0.1:1 raw_exec", "second http://127.0.0.1:2 "}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}

	m.lab("second", "name: second\nnomda: {}\n")
	if _, _, err := contexts.All(m.sys()); !errors.Is(err, contexts.ErrConfig) || !strings.Contains(err.Error(), "second/context.yaml") {
		t.Errorf("a broken lab context: %v", err)
	}
}

func TestPrecedence(t *testing.T) {
	for name, c := range map[string]struct {
		config     string
		env        []string
		flag       string
		want       string // name and address
		configured bool
	}{
		"the flag":              {two, []string{"STOKER_CONTEXT=blue", "NOMAD_ADDR=http://env:1"}, "green", "green https://green:4646", true},
		"STOKER_CONTEXT":        {two, []string{"STOKER_CONTEXT=green", "NOMAD_ADDR=http://env:1"}, "", "green https://green:4646", true},
		"NOMAD_ADDR":            {two, []string{"NOMAD_ADDR=http://env:1"}, "", "default http://env:1", true},
		"the current one":       {two, nil, "", "blue http://blue:4646", true},
		"nothing":               {"", nil, "", "default " + contexts.DefaultNomad, false},
		"no current one":        {"contexts:\n  blue: {}\n", nil, "", "default " + contexts.DefaultNomad, false},
		"a name without a home": {"contexts:\n  blue: {}\n", []string{"NOMAD_ADDR=http://env:1"}, "blue", "blue http://env:1", true},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, c.env...)
			m.config(c.config)
			got := m.resolve(c.flag)
			if got.Name+" "+got.Nomad.Address != c.want || got.Configured != c.configured {
				t.Errorf("got %s %s, configured %v", got.Name, got.Nomad.Address, got.Configured)
			}
			if byName := got.Name != "default"; got.Named != byName {
				t.Errorf("%s: named %v", got.Name, got.Named)
			}
		})
	}
}

func TestUnknownName(t *testing.T) {
	for _, by := range []string{"flag", "environment", "current"} {
		m := newMachine(t)
		text, flag := two, ""
		switch by {
		case "flag":
			flag = "red"
		case "environment":
			m.env["STOKER_CONTEXT"] = "red"
		case "current":
			text = strings.Replace(two, "current: blue", "current: red", 1)
		}
		m.config(text)
		_, err := contexts.Resolve(m.sys(), flag)
		if !errors.Is(err, contexts.ErrUnknown) || !strings.Contains(err.Error(), `"red" (known: blue, green)`) {
			t.Errorf("by %s: %v", by, err)
		}
	}
	m := newMachine(t)
	if _, err := contexts.Resolve(m.sys(), "red"); err == nil || !strings.Contains(err.Error(), "stoker lab up") {
		t.Errorf("with no context at all, the error says what to do: %v", err)
	}
}

// TestWhole reads everything that a context can say beside its connections.
func TestWhole(t *testing.T) {
	m := newMachine(t)
	m.config(two)
	c := m.resolve("green")
	if !c.Production || !c.ReadOnly {
		t.Errorf("production %v, read_only %v", c.Production, c.ReadOnly)
	}
	if d := cmp.Diff(map[string]string{"driver": "docker", "vault_addr": "https://green:8200"}, c.PackVars); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(contexts.Agents{Namespace: "system", Job: "watcher"}, c.Agents); d != "" {
		t.Error(d)
	}
	got := []string{c.Nomad.Region, c.Nomad.Namespace, c.Vault.Address, c.Vault.Transit}
	if d := cmp.Diff([]string{"eu", "prod", "https://green:8200", "keys"}, got); d != "" {
		t.Error(d)
	}
	c = m.resolve("blue")
	if c.Production || c.ReadOnly || c.Vault.Address != "" || c.Vault.Transit != "transit" || c.PackVars != nil {
		t.Errorf("a plain context got more than it says: %+v", c)
	}
	if d := cmp.Diff(contexts.Agents{Namespace: "default", Job: "stoker-agent"}, c.Agents); d != "" {
		t.Error(d)
	}
}

// official is an environment as it stands for the two official command lines.
func official() []string {
	return []string{
		"NOMAD_ADDR=https://env:4646", "NOMAD_TOKEN=nomad-env", "NOMAD_REGION=eu", "NOMAD_NAMESPACE=ops", "NOMAD_CACERT=/ca", "NOMAD_CAPATH=/cas",
		"NOMAD_CLIENT_CERT=/cert", "NOMAD_CLIENT_KEY=/key", "NOMAD_TLS_SERVER_NAME=server", "NOMAD_SKIP_VERIFY=true",
		"VAULT_ADDR=https://env:8200", "VAULT_TOKEN=vault-env", "VAULT_NAMESPACE=team", "VAULT_CACERT=/vca", "VAULT_CAPATH=/vcas",
		"VAULT_CLIENT_CERT=/vcert", "VAULT_CLIENT_KEY=/vkey", "VAULT_TLS_SERVER_NAME=vserver", "VAULT_SKIP_VERIFY=1",
	}
}

func TestOfficialVariables(t *testing.T) {
	c := newMachine(t, official()...).resolve("")
	n, v := c.Nomad, c.Vault
	got := []string{n.Address, n.Region, n.Namespace, n.CACert, n.CAPath, n.ClientCert, n.ClientKey, n.TLSServerName, reveal(t, n.Token)}
	want := []string{"https://env:4646", "eu", "ops", "/ca", "/cas", "/cert", "/key", "server", "nomad-env"}
	if d := cmp.Diff(want, got); d != "" || !n.SkipVerify {
		t.Errorf("nomad, skip %v: %s", n.SkipVerify, d)
	}
	got = []string{v.Address, v.Namespace, v.CACert, v.CAPath, v.ClientCert, v.ClientKey, v.TLSServerName, reveal(t, v.Token)}
	want = []string{"https://env:8200", "team", "/vca", "/vcas", "/vcert", "/vkey", "vserver", "vault-env"}
	if d := cmp.Diff(want, got); d != "" || !v.SkipVerify {
		t.Errorf("vault, skip %v: %s", v.SkipVerify, d)
	}
}

// TestTokenOrigin: what is told of where a token is from is where it is read.
func TestTokenOrigin(t *testing.T) {
	m := newMachine(t, official()...)
	m.config("contexts: { red: { nomad: { address: 'https://red:4646', token_file: /run/nomad }, vault: { address: 'https://red:8200' } } }")
	for name, want := range map[string][4]string{"": {"", "NOMAD_TOKEN", "", "VAULT_TOKEN"}, "red": {"/run/nomad", "", m.sys().Home + "/.vault-token", ""}} {
		c := m.resolve(name)
		var got [4]string
		got[0], got[1] = c.Nomad.TokenOrigin()
		got[2], got[3] = c.Vault.TokenOrigin()
		if got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func TestAddressesAreURLs(t *testing.T) {
	for _, tt := range []struct{ env, config, want string }{
		{"NOMAD_ADDR=garbage", "", `NOMAD_ADDR: no URL like https://host:port: "garbage"`},
		{"VAULT_ADDR=localhost:8200", "", `VAULT_ADDR: no URL like https://host:port: "localhost:8200"`},
		{"X=", "current: red\ncontexts: { red: { nomad: { address: garbage } } }", `context red, nomad address: no URL like https://host:port: "garbage"`},
	} {
		m := newMachine(t, tt.env)
		m.config(tt.config)
		if _, err := contexts.Resolve(m.sys(), ""); !errors.Is(err, contexts.ErrAddress) || err.Error() != tt.want {
			t.Errorf("got %v", err)
		}
	}
}

// TestGPUSources: each is off unless the context says where it is.
func TestGPUSources(t *testing.T) {
	m := newMachine(t)
	m.config(`
contexts:
  bare: {nomad: {address: "http://a:1"}}
  port: {nomad: {address: "http://a:1"}, dcgm: {port: 9400, token_file: ` + m.put("t", "for-dcgm\n") + `}}
  service: {nomad: {address: "http://a:1"}, dcgm: {service: dcgm, namespace: system, job: exporters, path: m, scheme: https, ca_cert: /ca, client_cert: /c, client_key: /k, tls_skip_verify: true}}
  prometheus:
    nomad: {address: "http://a:1"}
    prometheus: {url: "https://p:9090/x", token_file: ` + m.put("p", "for-prom") + `, ca_cert: /ca, client_cert: /c, client_key: /k, tls_server_name: n, tls_skip_verify: true, match: {cluster: blue}}
`)
	if c := m.resolve("bare"); c.DCGM.Configured() || c.Prometheus.URL != "" {
		t.Errorf("%+v", c)
	}
	c := m.resolve("port")
	if c.DCGM.TokenFile = ""; !c.DCGM.Configured() {
		t.Error("a port is a place")
	}
	if d := cmp.Diff(contexts.DCGM{Port: 9400, Path: "/metrics", Namespace: "default", Scheme: "http"}, c.DCGM); d != "" {
		t.Error(d)
	}
	if got := reveal(t, m.resolve("port").DCGM.Token); got != "for-dcgm" {
		t.Errorf("token %q", got)
	}
	want := contexts.DCGM{Service: "dcgm", Namespace: "system", Job: "exporters", Path: "/m", Scheme: "https", CACert: "/ca", ClientCert: "/c", ClientKey: "/k", SkipVerify: true}
	if c := m.resolve("service"); !c.DCGM.Configured() || !cmp.Equal(want, c.DCGM) {
		t.Error(cmp.Diff(want, c.DCGM))
	}
	p := m.resolve("prometheus").Prometheus
	if got := reveal(t, p.Token); got != "for-prom" {
		t.Errorf("token %q", got)
	}
	p.TokenFile = ""
	if d := cmp.Diff(contexts.Prometheus{URL: "https://p:9090/x", CACert: "/ca", ClientCert: "/c", ClientKey: "/k", TLSServerName: "n", SkipVerify: true, Match: map[string]string{"cluster": "blue"}}, p); d != "" {
		t.Error(d)
	}
	for wrong, says := range map[string]string{
		"prometheus: {url: here}":         `context a, prometheus url: no URL`,
		"dcgm: {port: 94000}":             "context a, dcgm port: 94000 is none",
		"dcgm: {port: 1, scheme: gopher}": `context a, dcgm scheme: http or https, not "gopher"`,
	} {
		m.config("contexts: { a: { nomad: { address: \"http://a:1\" }, " + wrong + " } }")
		if _, err := contexts.Resolve(m.sys(), "a"); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

func TestNamedConfigMustBeThere(t *testing.T) {
	m := newMachine(t, "STOKER_CONFIG="+filepath.Join(t.TempDir(), "none.yaml"))
	if _, _, err := contexts.All(m.sys()); !errors.Is(err, contexts.ErrConfig) || !strings.Contains(err.Error(), "none.yaml, which STOKER_CONFIG names, is not there") {
		t.Errorf("got %v", err)
	}
}

// TestTokensAreNotPrinted holds that a context, which sessions and error texts
// carry about, shows no token of the environment however it is printed.
func TestTokensAreNotPrinted(t *testing.T) {
	c := newMachine(t, official()...).resolve("")
	for _, verb := range []string{"%v", "%+v", "%#v", "%q", "%x"} {
		out := fmt.Sprintf(verb+verb, c, &c)
		for _, token := range []string{"nomad-env", "vault-env"} {
			if strings.Contains(out, token) || strings.Contains(out, fmt.Sprintf("%x", token)) {
				t.Errorf("%s shows the token: %s", verb, out)
			}
		}
	}
}

// TestTokensStayApart holds that no token, certificate or place of the
// environment goes to a server that a context names.
func TestTokensStayApart(t *testing.T) {
	m := newMachine(t, official()...)
	m.put("own", "nomad-own\n")
	m.config(`
contexts:
  both:    {nomad: {address: "http://named:4646"}, vault: {address: "http://named:8200"}}
  nomad:   {nomad: {address: "http://named:4646", token_file: "` + m.home + `/own"}}
  vault:   {vault: {address: "http://named:8200"}}
  tokens:  {nomad: {token_file: "` + m.home + `/own"}, vault: {token_file: "` + m.home + `/own"}}
`)
	type says struct{ Nomad, NomadToken, NomadNamespace, Vault, VaultToken, VaultNamespace string }
	for name, want := range map[string]says{
		"both":   {"http://named:4646", "", "", "http://named:8200", "", ""},
		"nomad":  {"http://named:4646", "nomad-own", "", "", "", ""},
		"vault":  {"https://env:4646", "nomad-env", "ops", "http://named:8200", "", ""},
		"tokens": {"https://env:4646", "nomad-own", "ops", "https://env:8200", "nomad-own", "team"},
	} {
		c := m.resolve(name)
		got := says{
			c.Nomad.Address, reveal(t, c.Nomad.Token), c.Nomad.Namespace,
			c.Vault.Address, reveal(t, c.Vault.Token), c.Vault.Namespace,
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		if named := strings.HasPrefix(c.Nomad.Address, "http://named"); named && (c.Nomad.ClientCert != "" || c.Nomad.SkipVerify || c.Nomad.Region != "") {
			t.Errorf("%s: the environment's TLS or region goes to the context's Nomad: %+v", name, c.Nomad)
		}
		if named := strings.HasPrefix(c.Vault.Address, "http://named"); named && (c.Vault.ClientCert != "" || c.Vault.SkipVerify) {
			t.Errorf("%s: the environment's TLS goes to the context's Vault: %+v", name, c.Vault)
		}
	}
}

// TestTokenFileIsReadAgain is how a renewed token gets in without a restart.
func TestTokenFileIsReadAgain(t *testing.T) {
	m := newMachine(t)
	path := m.put("token", "first\n")
	m.put("agents", "  for-agents \n")
	m.config("current: a\ncontexts:\n  a:\n    nomad: {address: \"http://a:1\", token_file: \"" + path + "\"}\n" +
		"    vault: {address: \"http://a:2\", token_file: \"" + path + "\"}\n    agents: {token_file: \"" + m.home + "/agents\"}\n")
	c := m.resolve("")
	for _, want := range []string{"first", "second"} {
		m.put("token", want+"\n")
		if n, v := reveal(t, c.Nomad.Token), reveal(t, c.Vault.Token); n != want || v != want {
			t.Errorf("want %s, got %s and %s", want, n, v)
		}
	}
	if got := reveal(t, c.Agents.Token); got != "for-agents" {
		t.Errorf("agents' token %q", got)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if got := reveal(t, c.Nomad.Token); got != "" {
		t.Errorf("without the file there is no token, got %q", got)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Nomad.Token(context.Background()); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a token file that cannot be read must be named: %v", err)
	}
}

// TestVaultTokenFile is the official client's own file, read where nothing else is said.
func TestVaultTokenFile(t *testing.T) {
	m := newMachine(t, "VAULT_ADDR=https://env:8200")
	m.put(".vault-token", "from-home")
	c := m.resolve("")
	if got := reveal(t, c.Vault.Token); got != "from-home" {
		t.Errorf("got %q", got)
	}
	m.env["VAULT_TOKEN"] = "from-env"
	c = m.resolve("")
	if got := reveal(t, c.Vault.Token); got != "from-env" {
		t.Errorf("got %q", got)
	}
}

func TestAgentsTLS(t *testing.T) {
	m := newMachine(t)
	m.config("contexts:\n  a: {agents: {tls: true, ca_cert: ca.pem, client_cert: c.pem, client_key: k.pem, tls_server_name: agent.gpu}}\n" +
		"  b: {}\n  half: {agents: {client_cert: c.pem}}\n")
	want := contexts.Agents{
		Namespace: "default", Job: "stoker-agent", TLS: true, CACert: "ca.pem", ClientCert: "c.pem", ClientKey: "k.pem", TLSServerName: "agent.gpu",
	}
	if d := cmp.Diff(want, m.resolve("a").Agents); d != "" {
		t.Error(d)
	}
	if !m.resolve("a").Agents.Encrypted() || m.resolve("b").Agents.Encrypted() {
		t.Error("a context demands TLS when it says so, and not else")
	}
	if _, err := contexts.Resolve(m.sys(), "half"); !errors.Is(err, contexts.ErrConfig) || !strings.Contains(err.Error(), "client_key") {
		t.Errorf("a certificate without its key: %v", err)
	}
}

func TestSeveralContexts(t *testing.T) {
	m := newMachine(t)
	m.config("contexts:\n  eu: { nomad: { address: \"http://eu:1\" } }\n  us: { nomad: { address: \"http://us:1\" }, production: true }\n  \"a,b\": { nomad: { address: \"http://ab:1\" } }\n")
	m.lab("lab", "name: lab\nnomad: { address: \"http://lab:1\" }\n")
	for typed, want := range map[string]string{
		"us":         "us",
		"us,eu":      "us eu",
		"eu, us,eu":  "eu us",
		"a,b":        "a,b",
		"all":        "a,b eu lab us",
		"lab,us":     "lab us",
		"us,nowhere": `no such context: "nowhere" (known: a,b, eu, lab, us)`,
		"us/west,eu": "us/west eu",
		"us/":        `no such context: "us/" (known: a,b, eu, lab, us)`,
		"us,":        `no such context: "" (known: a,b, eu, lab, us)`,
	} {
		list, err := contexts.ResolveAll(m.sys(), typed)
		var got []string
		for _, c := range list {
			got = append(got, c.Name)
			if c.Vault.Transit != "transit" || !c.Named {
				t.Errorf("%s: context %s is not filled in: %+v", typed, c.Name, c)
			}
		}
		text := strings.Join(got, " ")
		if err != nil {
			text = err.Error()
		}
		if text != want {
			t.Errorf("%s: %s, want %s", typed, text, want)
		}
	}
	if _, err := contexts.Resolve(m.sys(), "us,eu"); !errors.Is(err, contexts.ErrSeveral) {
		t.Errorf("one of several: %v", err)
	}
	if list, err := contexts.ResolveAll(newMachine(t, "STOKER_CONTEXT=all").sys(), ""); err == nil {
		t.Errorf("all of none: %v", list)
	}
}

func TestRegions(t *testing.T) {
	m := newMachine(t)
	m.config("contexts:\n  prod: { nomad: { address: \"http://prod:1\", regions: [east, west] } }\n  bad: { nomad: { address: \"http://bad:1\", region: x, regions: [y] } }\n")
	c := m.resolve("prod/west")
	if c.Name != "prod/west" || c.Cluster() != "prod" || c.Nomad.Region != "west" || c.Nomad.Regions != nil {
		t.Errorf("%+v", c)
	}
	if c = m.resolve("prod"); c.Cluster() != "prod" || len(c.Nomad.Regions) != 2 {
		t.Errorf("%+v", c)
	}
	if _, err := contexts.Resolve(m.sys(), "bad"); !errors.Is(err, contexts.ErrConfig) {
		t.Errorf("region and regions: %v", err)
	}
}
