package nomad

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"

	"stoker/cluster"
)

// maxRaw bounds one answer: an object of Nomad's is some hundred KB at the most.
const maxRaw = 32 << 20

// Raw reads one thing as Nomad tells it: indented JSON, its fields in Nomad's
// order. Of a variable that is what the list says of it, and never what it holds.
// What it says may hold secrets, such as the environment of a task: mask it.
func (c *Client) Raw(ctx context.Context, ref cluster.Ref) ([]byte, error) {
	path, ok := map[cluster.RefKind]string{
		cluster.RefNode: "/v1/node/", cluster.RefJob: "/v1/job/", cluster.RefAlloc: "/v1/allocation/", cluster.RefDeployment: "/v1/deployment/",
		cluster.RefEvaluation: "/v1/evaluation/", cluster.RefService: "/v1/service/", cluster.RefPool: "/v1/node/pool/", cluster.RefNamespace: "/v1/namespace/",
	}[ref.Kind]
	var raw []byte
	read := func(body io.Reader) (err error) {
		raw, err = io.ReadAll(io.LimitReader(body, maxRaw))
		return err
	}
	var err error
	switch {
	case ref.Kind == cluster.RefVariable:
		_, err = c.ask(ctx, ref.Namespace, "/v1/vars", map[string]string{"prefix": ref.ID}, read)
		if err == nil {
			raw, err = variableOf(raw, ref)
		}
	case ok:
		_, err = c.ask(ctx, ref.Namespace, path+url.PathEscape(ref.ID), nil, read)
	default:
		err = fmt.Errorf("nomad keeps no %s", ref.Kind)
	}
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		return nil, fmt.Errorf("nomad answered no JSON about %s %s: %w", ref.Kind, ref.ID, err)
	}
	return out.Bytes(), nil
}

// variableOf finds the one that is meant among those whose paths begin alike.
func variableOf(list []byte, ref cluster.Ref) ([]byte, error) {
	var all []json.RawMessage
	if err := json.Unmarshal(list, &all); err != nil {
		return nil, err
	}
	for _, one := range all {
		var v struct{ Namespace, Path string }
		if json.Unmarshal(one, &v) == nil && v.Path == ref.ID && (v.Namespace == ref.Namespace || v.Namespace == "") {
			return one, nil
		}
	}
	return nil, &cluster.Fault{Kind: cluster.ErrNotFound, Text: "nomad: there is no variable " + ref.ID + " in namespace " + ref.Namespace}
}
