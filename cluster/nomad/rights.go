package nomad

import (
	"context"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/nomad/api"
)

// rights are what the policies of a token allow, merged as Nomad does it.
type rights struct {
	all  bool   // of a management token, or where there are no ACLs
	node string // the strongest policy on nodes
	// spaces are the capabilities by namespace, or by pattern of namespaces.
	spaces map[string][]string
}

const (
	management = "management" // the kind of token that may do all
	denied     = "deny"
	writeNodes = "node:write"
)

// rulesJSON is what a policy says, with its short words spelt out by Nomad.
type rulesJSON struct {
	Node       *struct{ Policy string }
	Namespaces []struct {
		Name, Policy string
		Capabilities []string
	}
}

// Lacks says that the token is known to have none of the capabilities: in the
// namespace, or in any where that is empty. "node:write" is of no namespace. What
// is not known is not lacking: Nomad decides.
func (c *Client) Lacks(namespace string, capabilities []string) bool {
	r := c.rights.Load()
	return r != nil && !slices.ContainsFunc(capabilities, func(want string) bool { return r.has(namespace, want) })
}

// may asks what a token of a kind may do: nil when that is not told.
func (c *Client) may(ctx context.Context, kind string) (*rights, error) {
	switch kind {
	case management:
		return &rights{all: true}, nil
	case "client":
		return c.policies(ctx)
	}
	return nil, nil
}

// policies reads what a token may do that is no management token: nil when
// Nomad does not tell.
func (c *Client) policies(ctx context.Context) (*rights, error) {
	var list []struct{ Name string }
	if _, err := c.get(ctx, "/v1/acl/policies", nil, &list); err != nil {
		return nil, err
	}
	r := &rights{spaces: map[string][]string{}}
	for _, p := range list {
		var policy struct{ RulesJSON *rulesJSON }
		_, err := c.get(ctx, "/v1/acl/policy/"+pathEscape(p.Name), nil, &policy)
		if err != nil || policy.RulesJSON == nil || !r.add(policy.RulesJSON) {
			return nil, err
		}
	}
	return r, nil
}

// add merges a policy; false when it does not say all.
func (r *rights) add(p *rulesJSON) bool {
	if p.Node != nil {
		order := []string{"", "list", "read", "write", denied} // to deny is the strongest
		if slices.Index(order, p.Node.Policy) > slices.Index(order, r.node) {
			r.node = p.Node.Policy
		}
	}
	for _, n := range p.Namespaces {
		if n.Policy != "" && len(n.Capabilities) == 0 {
			return false
		}
		r.spaces[n.Name] = append(r.spaces[n.Name], n.Capabilities...)
	}
	return true
}

func (r *rights) has(namespace, want string) bool {
	switch {
	case r.all:
		return true
	case want == writeNodes:
		return r.node == "write"
	case namespace != "":
		return allows(r.spaces[r.rule(namespace)], want)
	}
	for _, capabilities := range r.spaces {
		if allows(capabilities, want) {
			return true
		}
	}
	return false
}

// unbound says that the token is known to be bound by no policy.
func (r *rights) unbound() bool { return r != nil && r.all }

// everywhere says that the capability is known to be had in each namespace that
// there is or may be.
func (r *rights) everywhere(want string) bool {
	if r == nil || r.all {
		return r.unbound()
	}
	for _, capabilities := range r.spaces {
		if !allows(capabilities, want) {
			return false
		}
	}
	return r.spaces[api.AllNamespacesNamespace] != nil
}

func allows(capabilities []string, want string) bool {
	return slices.Contains(capabilities, want) && !slices.Contains(capabilities, denied)
}

// rule is the name or pattern that counts for a namespace: its own name, else
// the pattern that is closest to it.
func (r *rights) rule(namespace string) string {
	if _, named := r.spaces[namespace]; named {
		return namespace
	}
	best, letters := "", -1
	for pattern := range r.spaces {
		n := len(pattern) - strings.Count(pattern, "*")
		if is, err := path.Match(pattern, namespace); err == nil && is && n > letters {
			best, letters = pattern, n
		}
	}
	return best
}
