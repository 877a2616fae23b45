package nomad

import (
	"context"

	"github.com/hashicorp/nomad/api"
)

// variableSpace is the namespace of stoker's own variables when the context names none.
func (c *Client) variableSpace() string {
	if c.namespace == api.AllNamespacesNamespace {
		return api.DefaultNamespace
	}
	return c.namespace
}

// ListVariables returns the paths of the variables under a prefix.
func (c *Client) ListVariables(ctx context.Context, prefix string) ([]string, error) {
	var stubs []struct{ Path string }
	q := c.query(ctx, c.variableSpace())
	q.Prefix = prefix
	if _, err := c.api.Raw().Query("/v1/vars", &stubs, q); err != nil {
		return nil, c.fault(err)
	}
	paths := make([]string, len(stubs))
	for i, s := range stubs {
		paths[i] = s.Path
	}
	return paths, nil
}

// ReadVariable returns the items of one variable, or ErrNotFound.
func (c *Client) ReadVariable(ctx context.Context, path string) (map[string]string, error) {
	var v struct{ Items map[string]string }
	_, err := c.api.Raw().Query("/v1/var/"+path, &v, c.query(ctx, c.variableSpace()))
	return v.Items, c.fault(err)
}

// WriteVariable replaces the items of one variable.
func (c *Client) WriteVariable(ctx context.Context, path string, items map[string]string) error {
	ns := c.variableSpace()
	v := api.Variable{Namespace: ns, Path: path, Items: items}
	_, err := c.api.Raw().Write("/v1/var/"+path, v, nil, c.write(ctx, ns))
	return c.fault(err)
}
