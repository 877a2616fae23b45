package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"stoker/cluster"
	"stoker/secrets"
)

const (
	// callTimeout bounds one write: a cluster without a leader answers late.
	callTimeout = 30 * time.Second
	maxAnswer   = 64 << 10
)

// TaskAPI writes variables from inside an allocation: through the unix socket
// that Nomad puts into each task's secrets folder, with the workload identity
// of the task (identity { file = true } or env = true). It needs no address, no
// TLS setting and no token of its own. It may be used from any goroutine.
type TaskAPI struct {
	socket    string
	namespace string
	token     func() (secrets.Secret, error)
	client    *http.Client
}

// NewTaskAPI finds socket, identity and namespace in the environment that Nomad
// gives to a task. Nothing is opened before the first write.
func NewTaskAPI(getenv func(string) string) (*TaskAPI, error) {
	dir := getenv("NOMAD_SECRETS_DIR")
	if dir == "" {
		return nil, errors.New("this is no task of nomad: NOMAD_SECRETS_DIR is not set")
	}
	t := &TaskAPI{socket: filepath.Join(dir, "api.sock"), namespace: getenv("NOMAD_NAMESPACE")}
	env := getenv("NOMAD_TOKEN")
	t.token = func() (secrets.Secret, error) { return readIdentity(filepath.Join(dir, "nomad_token"), env) }
	t.client = &http.Client{
		Timeout:       callTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy: nil,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, "unix", t.socket)
			},
			DisableKeepAlives: true,
		},
	}
	return t, nil
}

// readIdentity prefers the file: Nomad renews it while a task runs, and the
// environment stays as it was at the start.
func readIdentity(path, env string) (secrets.Secret, error) {
	text, err := os.ReadFile(path)
	switch {
	case err == nil && len(bytes.TrimSpace(text)) > 0:
		return secrets.FromBytes(bytes.TrimSpace(text)), nil
	case env != "":
		return secrets.New(env), nil
	}
	return secrets.Secret{}, errors.New("the task has no workload identity: give it a block identity { file = true }")
}

// WriteVariable replaces the items at a path in the task's namespace.
func (t *TaskAPI) WriteVariable(ctx context.Context, path string, items map[string]string) error {
	body, err := json.Marshal(map[string]any{"Namespace": t.namespace, "Path": path, "Items": items})
	if err != nil {
		return fmt.Errorf("write nomad variable %s: %w", path, err)
	}
	token, err := t.token()
	if err != nil {
		return fmt.Errorf("write nomad variable %s: %w", path, err)
	}
	address := url.URL{Scheme: "http", Host: "task", Path: "/v1/var/" + path}
	if t.namespace != "" {
		address.RawQuery = url.Values{"namespace": {t.namespace}}.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, address.String(), bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("write nomad variable %s: %w", path, err)
	}
	req.Header.Set("Authorization", "Bearer "+token.Reveal())
	req.Header.Set("Content-Type", "application/json")
	resp, err := t.client.Do(req)
	if err != nil {
		return t.fault(cluster.ErrUnreachable, path, err, "the socket is there from Nomad 1.5 on, unless its path is longer than 107 bytes")
	}
	defer func() { _ = resp.Body.Close() }()
	return t.answer(path, resp)
}

func (t *TaskAPI) answer(path string, resp *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	said := fmt.Errorf("nomad answered %s: %s", resp.Status, strings.TrimSpace(string(text)))
	switch {
	case resp.StatusCode == http.StatusForbidden || resp.StatusCode == http.StatusUnauthorized:
		return t.fault(cluster.ErrDenied, path, said, "nomad acl policy apply -job JOB -group GROUP -task TASK, with a policy that may write variables under "+prefix+"*")
	case resp.StatusCode == http.StatusConflict:
		return t.fault(cluster.ErrConflict, path, said, "")
	case resp.StatusCode/100 != 2:
		return fmt.Errorf("write nomad variable %s: %w", path, said)
	case err != nil:
		return fmt.Errorf("write nomad variable %s: %w", path, err)
	}
	return nil
}

func (t *TaskAPI) fault(kind error, path string, err error, advice string) error {
	return &cluster.Fault{Kind: kind, Text: fmt.Sprintf("write nomad variable %s: %v", path, err), Advice: advice, Err: err}
}
