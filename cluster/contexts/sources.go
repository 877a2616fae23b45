package contexts

import (
	"context"
	"fmt"

	"stoker/secrets"
)

// DCGM says where dcgm-exporter is: at a port of every node with GPUs, or where
// a service of Nomad says, or both. Neither means that there is none.
type DCGM struct {
	Port int    `yaml:"port"` // usually 9400
	Path string `yaml:"path"` // "/metrics" unless set
	// Service is the name of a service, trusted where this job registered it in
	// this namespace: "default" unless set, and any job unless set.
	Service    string `yaml:"service"`
	Namespace  string `yaml:"namespace"`
	Job        string `yaml:"job"`
	Scheme     string `yaml:"scheme"` // "http" unless set, or "https"
	TokenFile  string `yaml:"token_file"`
	CACert     string `yaml:"ca_cert"`
	ClientCert string `yaml:"client_cert"`
	ClientKey  string `yaml:"client_key"`
	SkipVerify bool   `yaml:"tls_skip_verify"`
}

// Configured says that there is an exporter somewhere.
func (d DCGM) Configured() bool { return d.Port != 0 || d.Service != "" }

// Prometheus says where a server with Prometheus' HTTP API is. An empty URL
// means that there is none.
type Prometheus struct {
	URL           string `yaml:"url"`
	TokenFile     string `yaml:"token_file"`
	CACert        string `yaml:"ca_cert"`
	ClientCert    string `yaml:"client_cert"`
	ClientKey     string `yaml:"client_key"`
	TLSServerName string `yaml:"tls_server_name"`
	SkipVerify    bool   `yaml:"tls_skip_verify"`
	// Match narrows it to series with these labels, where the server holds more
	// than this cluster.
	Match map[string]string `yaml:"match"`
}

// check finds an exporter that nothing can be read from.
func (d DCGM) check(context string) error {
	switch {
	case d.Port < 0 || d.Port > 65535:
		return fmt.Errorf("%w: context %s, dcgm port: %d is none", ErrConfig, context, d.Port)
	case d.Scheme != "http" && d.Scheme != "https":
		return fmt.Errorf("%w: context %s, dcgm scheme: http or https, not %q", ErrConfig, context, d.Scheme)
	}
	return nil
}

// Token is the bearer token for dcgm-exporters; empty sends none.
func (d DCGM) Token(context.Context) (secrets.Secret, error) {
	return token(secrets.Secret{}, d.TokenFile)
}

// Token is the bearer token for the server; empty sends none.
func (p Prometheus) Token(context.Context) (secrets.Secret, error) {
	return token(secrets.Secret{}, p.TokenFile)
}
