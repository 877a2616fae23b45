package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/hashicorp/vault/api"
)

// request is one call: what for, in the words of the error, and the capability
// that Vault's policies want for it.
type request struct {
	op         string
	path       string
	capability string // read, list, update, create
	body       map[string]any
}

// do sends r, once more with a fresh token when Vault answers 403.
func (c *Client) do(ctx context.Context, r request) (*api.Secret, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	used, err := c.ready(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.op, err)
	}
	answer, err := send(ctx, c.api, r)
	if status(err) == http.StatusForbidden && c.renewed(ctx, used) {
		answer, err = send(ctx, c.api, r)
	}
	if err != nil {
		return nil, c.explain(ctx, r, err)
	}
	if answer == nil { // 204: done, nothing to say
		answer = &api.Secret{}
	}
	c.called(r.path, answer.RequestID)
	return answer, nil
}

func (c *Client) called(path, requestID string) {
	if c.cfg.OnCall != nil {
		c.cfg.OnCall(Call{At: c.cfg.Now(), Path: path, RequestID: requestID})
	}
}

func send(ctx context.Context, client *api.Client, r request) (*api.Secret, error) {
	if r.body != nil {
		return client.Logical().WriteWithContext(ctx, r.path, r.body)
	}
	var query map[string][]string
	if r.capability == "list" {
		query = map[string][]string{"list": {"true"}}
	}
	// Raw, because the module's Read and List make the same silent nothing of
	// an empty list and of a mount that does not exist.
	answer, err := client.Logical().ReadRawWithDataWithContext(ctx, r.path, query)
	if answer != nil {
		defer func() { _ = answer.Body.Close() }()
	}
	if err != nil {
		return nil, err
	}
	return api.ParseSecret(answer.Body)
}

func status(err error) int {
	var answer *api.ResponseError
	if errors.As(err, &answer) {
		return answer.StatusCode
	}
	return 0
}

// capabilities asks what the token may do at path; nil when that is not allowed.
func (c *Client) capabilities(ctx context.Context, path string) []string {
	answer, err := send(ctx, c.api, request{
		path: "sys/capabilities-self", body: map[string]any{"paths": []string{path}},
	})
	if err != nil || answer == nil {
		return nil
	}
	list, _ := answer.Data[path].([]any)
	var caps []string
	for _, entry := range list {
		if s, ok := entry.(string); ok {
			caps = append(caps, s)
		}
	}
	return caps
}

// plainPath refuses what would leave the path that it is put into.
func plainPath(kind, name string) error {
	if name == "" || strings.ContainsAny(name, "/\\?#% \t\r\n") || strings.HasPrefix(name, ".") {
		return fmt.Errorf("%s %q: not a valid name", kind, name)
	}
	return nil
}
