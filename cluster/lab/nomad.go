package lab

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"sort"
	"strings"
	"time"
)

// nomadAPI is Nomad as its management token sees it.
type nomadAPI struct{ rest }

func newNomad(url, token string) nomadAPI {
	return nomadAPI{rest{base: url, header: "X-Nomad-Token", token: token, client: newClient()}}
}

// leader waits until the servers have elected one.
func (n nomadAPI) leader(ctx context.Context, gone func() error) error {
	return until(ctx, "a nomad leader", 60*time.Second, gone, func(ctx context.Context) error {
		var addr string
		if err := n.get(ctx, "/v1/status/leader", &addr); err != nil {
			return err
		}
		if addr == "" {
			return errors.New("none elected yet")
		}
		return nil
	})
}

// bootstrap gives Nomad its management token. The token is made here and on disk
// first, so that an interrupted run leaves nothing that cannot be resumed.
func (n *nomadAPI) bootstrap(ctx context.Context, p paths) error {
	token, err := os.ReadFile(p.nomadToken())
	if errors.Is(err, fs.ErrNotExist) {
		token = []byte(newUUID())
		err = writeFile(p.nomadToken(), token)
	}
	if err != nil {
		return fmt.Errorf("nomad's token: %w", err)
	}
	n.token = strings.TrimSpace(string(token))
	if n.get(ctx, "/v1/acl/token/self", nil) == nil {
		return nil
	}
	// The leader answers before its ACLs do.
	return until(ctx, "nomad's ACLs", 30*time.Second, nil, func(ctx context.Context) error {
		anonymous := *n
		anonymous.token = ""
		err := anonymous.put(ctx, "/v1/acl/bootstrap", map[string]string{"BootstrapSecret": n.token}, nil)
		if err == nil {
			return nil
		}
		if n.get(ctx, "/v1/acl/token/self", nil) == nil {
			return nil
		}
		return err
	})
}

func newUUID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// rights makes the namespaces of the grants and lets each sealing task write
// model variables with its own identity.
func (n nomadAPI) rights(ctx context.Context, grants []Grant) error {
	for _, g := range grants {
		if g.Namespace != "default" {
			if err := n.put(ctx, "/v1/namespace/"+g.Namespace, map[string]string{"Name": g.Namespace}, nil); err != nil {
				return fmt.Errorf("make namespace %s: %w", g.Namespace, err)
			}
		}
		if g.Verb != VerbSeal {
			continue
		}
		if err := n.sealPolicy(ctx, g); err != nil {
			return err
		}
	}
	return nil
}

func (n nomadAPI) sealPolicy(ctx context.Context, g Grant) error {
	job := map[string]string{"Namespace": g.Namespace, "JobID": g.Job}
	if g.Group != "" {
		job["Group"], job["Task"] = g.Group, g.Task
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{g.Namespace, g.Job, g.Group, g.Task}, "\x00")))
	name := "stoker-seal-" + hex.EncodeToString(sum[:6])
	rules := fmt.Sprintf(`namespace %q {
  variables {
    path "stoker/models/*" {
      capabilities = ["read", "list", "write"]
    }
  }
}
`, g.Namespace)
	err := n.put(ctx, "/v1/acl/policy/"+name, map[string]any{
		"Name": name, "Rules": rules, "JobACL": job,
		"Description": fmt.Sprintf("job %s, task %s registers sealed models", g.Job, g.Task),
	}, nil)
	if err != nil {
		return fmt.Errorf("write nomad policy for job %s: %w", g.Job, err)
	}
	return nil
}

type nomadNode struct {
	ID, Name, Status      string
	SchedulingEligibility string
	Attributes            map[string]string
	NodeResources         struct {
		Devices []struct{ Instances []struct{ Healthy bool } }
	}
}

func (n nomadNode) gpus() int {
	count := 0
	for _, d := range n.NodeResources.Devices {
		count += len(d.Instances)
	}
	return count
}

// nodes lists the lab's real nodes by name; of several with one name, the newest
// that is up. Those of a fleet are in other pools.
func (n nomadAPI) nodes(ctx context.Context) (map[string]nomadNode, error) {
	var list []nomadNode
	if err := n.get(ctx, "/v1/nodes?resources=true&filter="+url.QueryEscape(`NodePool == "default"`), &list); err != nil {
		return nil, fmt.Errorf("list nodes: %w", err)
	}
	byName := map[string]nomadNode{}
	for _, node := range list {
		if byName[node.Name].Status != "ready" {
			byName[node.Name] = node
		}
	}
	return byName, nil
}

func (n nomadAPI) node(ctx context.Context, id string) (nomadNode, error) {
	var node nomadNode
	err := n.get(ctx, "/v1/node/"+id, &node)
	return node, err
}

// nodeReady waits until the node can run jobs: registered, Vault seen when that
// is asked for, and all its GPUs found.
func (n nomadAPI) nodeReady(ctx context.Context, name string, gpus int, withVault bool, gone func() error) error {
	return until(ctx, "node "+name, 60*time.Second, gone, func(ctx context.Context) error {
		all, err := n.nodes(ctx)
		if err != nil {
			return err
		}
		node, ok := all[name]
		if !ok || node.Status != "ready" {
			return errors.New("not registered yet")
		}
		if node.gpus() < gpus {
			return fmt.Errorf("%d of %d GPUs found: see the node's log for what the device plugin says", node.gpus(), gpus)
		}
		full, err := n.node(ctx, node.ID)
		if err != nil {
			return err
		}
		if withVault && full.Attributes["vault.version"] == "" {
			return errors.New("it does not see vault yet")
		}
		return nil
	})
}

// submit parses a job file with its variables and registers it.
func (n nomadAPI) submit(ctx context.Context, j Job) error {
	vars := hclVars(j.Vars)
	var job map[string]any
	err := n.put(ctx, "/v1/jobs/parse", map[string]any{"JobHCL": j.HCL, "Variables": vars, "Canonicalize": true}, &job)
	if err != nil {
		return fmt.Errorf("parse job %s: %w", j.Name, err)
	}
	query := ""
	if ns, ok := job["Namespace"].(string); ok && ns != "" {
		query = "?namespace=" + url.QueryEscape(ns)
	}
	err = n.put(ctx, "/v1/jobs"+query, map[string]any{
		"Job":        job,
		"Submission": map[string]any{"Source": j.HCL, "Format": "hcl2", "Variables": vars},
	}, nil)
	if err != nil {
		return fmt.Errorf("submit job %s: %w", j.Name, err)
	}
	return nil
}

// hclVars writes a variables file.
func hclVars(vars map[string]string) string {
	names := make([]string, 0, len(vars))
	for name := range vars {
		names = append(names, name)
	}
	sort.Strings(names)
	var b strings.Builder
	for _, name := range names {
		value := vars[name]
		if !strings.HasPrefix(value, "[") && !strings.HasPrefix(value, "{") {
			value = hclString(value)
		}
		fmt.Fprintf(&b, "%s = %s\n", name, value)
	}
	return b.String()
}

// hclString quotes for HCL, in which ${ and %{ begin templates.
func hclString(s string) string {
	r := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`, "${", "$${", "%{", "%%{")
	return `"` + r.Replace(s) + `"`
}

// stopJobs deregisters every job and waits until nothing runs on the real nodes.
// The jobs of a fleet are left: nothing of theirs is real.
func (n nomadAPI) stopJobs(ctx context.Context, limit time.Duration) error {
	var jobs []struct{ ID, Namespace string }
	if err := n.get(ctx, "/v1/jobs?namespace=*&filter="+url.QueryEscape(`"fleet" not in Meta`), &jobs); err != nil {
		return fmt.Errorf("list jobs: %w", err)
	}
	for _, j := range jobs {
		path := fmt.Sprintf("/v1/job/%s?namespace=%s", url.PathEscape(j.ID), url.QueryEscape(j.Namespace))
		if err := n.do(ctx, http.MethodDelete, path, nil, nil); err != nil && statusOf(err) != http.StatusNotFound {
			return fmt.Errorf("stop job %s: %w", j.ID, err)
		}
	}
	return until(ctx, "tasks to end", limit, nil, func(ctx context.Context) error {
		left, err := n.running(ctx)
		if err == nil && left > 0 {
			err = fmt.Errorf("%d allocations still run", left)
		}
		return err
	})
}

// running counts the allocations that run on real nodes that are up.
func (n nomadAPI) running(ctx context.Context) (int, error) {
	nodes, err := n.nodes(ctx)
	if err != nil {
		return 0, err
	}
	count := 0
	for _, node := range nodes {
		if node.Status != "ready" {
			continue
		}
		var allocs []struct{ ClientStatus string }
		if err := n.get(ctx, "/v1/node/"+node.ID+"/allocations", &allocs); err != nil {
			return 0, fmt.Errorf("list allocations of %s: %w", node.Name, err)
		}
		for _, a := range allocs {
			if a.ClientStatus == "running" {
				count++
			}
		}
	}
	return count, nil
}
