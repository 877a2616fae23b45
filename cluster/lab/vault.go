package lab

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"
)

// vaultAPI is Vault as its root sees it.
type vaultAPI struct{ rest }

func newVault(url, token string) vaultAPI {
	return vaultAPI{rest{base: url, header: "X-Vault-Token", token: token, client: newClient()}}
}

type vaultHealth struct {
	Initialized bool `json:"initialized"`
	Sealed      bool `json:"sealed"`
	Standby     bool `json:"standby"`
}

// health answers with 200 whatever the state, so that an error means no answer.
func (v vaultAPI) health(ctx context.Context) (vaultHealth, error) {
	var h vaultHealth
	err := v.get(ctx, "/v1/sys/health?sealedcode=200&uninitcode=200&standbyok=true&standbycode=200", &h)
	return h, err
}

// errKeysLost says that Vault is sealed for good, as far as the lab can tell.
var errKeysLost = errors.New("vault is sealed and its unseal key or root token is not in the lab's folder")

// ready initialises and unseals Vault as far as it needs that, and waits until
// it serves. Vault tells its unseal key and root token once, in its answer to
// being initialised; both are on disk before it is unsealed. So a crash in
// between leaves a Vault that nobody can open and nobody has used: errKeysLost.
func (v vaultAPI) ready(ctx context.Context, p paths, gone func() error) error {
	var h vaultHealth
	err := until(ctx, "vault", 30*time.Second, gone, func(ctx context.Context) (err error) {
		h, err = v.health(ctx)
		return err
	})
	if err != nil {
		return err
	}
	if !h.Initialized {
		if err := v.initialise(ctx, p); err != nil {
			return err
		}
	} else if err := haveKeys(p); err != nil {
		if h.Sealed {
			return fmt.Errorf("%w: %w", errKeysLost, err)
		}
		return fmt.Errorf("vault is open, but its keys are not all there: %w: put the file back, or take the lab down and up again, which removes its models", err)
	}
	if err := v.unseal(ctx, p); err != nil {
		return err
	}
	return until(ctx, "vault to become active", 30*time.Second, gone, func(ctx context.Context) error {
		h, err := v.health(ctx)
		if err == nil && (h.Sealed || h.Standby) {
			err = errors.New("sealed or standby")
		}
		return err
	})
}

func haveKeys(p paths) error {
	for _, path := range []string{p.unsealKey(), p.vaultToken()} {
		if _, err := os.Stat(path); err != nil {
			return err
		}
	}
	return nil
}

func (v vaultAPI) initialise(ctx context.Context, p paths) error {
	var keys struct {
		Keys  []string `json:"keys"`
		Token string   `json:"root_token"`
	}
	if err := v.put(ctx, "/v1/sys/init", map[string]int{"secret_shares": 1, "secret_threshold": 1}, &keys); err != nil {
		return fmt.Errorf("initialise vault: %w", err)
	}
	if len(keys.Keys) != 1 {
		return fmt.Errorf("initialise vault: %d keys instead of one", len(keys.Keys))
	}
	return errors.Join(
		writeFile(p.unsealKey(), []byte(keys.Keys[0])),
		writeFile(p.vaultToken(), []byte(keys.Token)))
}

func (v vaultAPI) unseal(ctx context.Context, p paths) error {
	key, err := os.ReadFile(p.unsealKey())
	if err != nil {
		return fmt.Errorf("unseal vault: %w", err)
	}
	h, err := v.health(ctx)
	if err != nil {
		return fmt.Errorf("unseal vault: %w", err)
	}
	if !h.Sealed {
		return nil
	}
	if err := v.put(ctx, "/v1/sys/unseal", map[string]string{"key": strings.TrimSpace(string(key))}, nil); err != nil {
		return fmt.Errorf("unseal vault: %w", err)
	}
	return nil
}

// mounts makes the audit device and the engines, those that are not there yet.
func (v vaultAPI) mounts(ctx context.Context, p paths) error {
	for _, m := range []struct {
		list, name, path string
		body             map[string]any
	}{
		{"/v1/sys/audit", "file", "/v1/sys/audit/file", map[string]any{
			"type": "file", "options": map[string]string{"file_path": p.audit(), "mode": "0600"},
		}},
		{"/v1/sys/mounts", transitPath, "/v1/sys/mounts/" + transitPath, map[string]any{"type": "transit"}},
		{"/v1/sys/mounts", kvPath, "/v1/sys/mounts/" + kvPath, map[string]any{
			"type": "kv", "options": map[string]string{"version": "2"},
		}},
		{"/v1/sys/auth", jwtPath, "/v1/sys/auth/" + jwtPath, map[string]any{"type": "jwt"}},
	} {
		var have struct {
			Data map[string]any `json:"data"`
		}
		if err := v.get(ctx, m.list, &have); err != nil {
			return fmt.Errorf("set up vault: %w", err)
		}
		if _, ok := have.Data[m.name+"/"]; ok {
			continue
		}
		if err := v.put(ctx, m.path, m.body, nil); err != nil {
			return fmt.Errorf("set up vault: %w", err)
		}
	}
	return nil
}

// trust lets Nomad's workload identities log in. The role that a task gets when
// it names none may do nothing but look after its own token.
func (v vaultAPI) trust(ctx context.Context, nomadURL string) error {
	err := v.put(ctx, "/v1/auth/"+jwtPath+"/config", map[string]any{
		"jwks_url":           nomadURL + "/.well-known/jwks.json",
		"jwt_supported_algs": []string{"RS256", "EdDSA"},
		"default_role":       defaultRole,
	}, nil)
	if err != nil {
		return fmt.Errorf("let vault trust nomad: %w", err)
	}
	if err := v.policy(ctx, defaultRole, ""); err != nil {
		return err
	}
	return v.role(ctx, defaultRole, defaultRole, nil)
}

// A token of a task may keep itself alive: Nomad renews it on the task's behalf.
const tokenRights = `path "auth/token/lookup-self" {
  capabilities = ["read"]
}
path "auth/token/renew-self" {
  capabilities = ["update"]
}
path "auth/token/revoke-self" {
  capabilities = ["update"]
}
`

func (v vaultAPI) policy(ctx context.Context, name, path string) error {
	text := tokenRights
	if path != "" {
		text += fmt.Sprintf("path %q {\n  capabilities = [\"update\"]\n}\n", path)
	}
	if err := v.put(ctx, "/v1/sys/policies/acl/"+name, map[string]string{"policy": text}, nil); err != nil {
		return fmt.Errorf("write vault policy %s: %w", name, err)
	}
	return nil
}

func (v vaultAPI) role(ctx context.Context, name, policy string, claims map[string][]string) error {
	body := map[string]any{
		"role_type": "jwt", "bound_audiences": []string{"vault.io"},
		"user_claim": "/nomad_job_id", "user_claim_json_pointer": true,
		"claim_mappings": map[string]string{
			"nomad_namespace": "nomad_namespace", "nomad_job_id": "nomad_job_id",
			"nomad_task": "nomad_task", "nomad_allocation_id": "nomad_allocation_id",
		},
		"token_type": "service", "token_policies": []string{policy}, "token_no_default_policy": true,
		"token_period": "30m", "token_explicit_max_ttl": 0,
	}
	if claims != nil {
		body["bound_claims"] = claims
	}
	if err := v.put(ctx, "/v1/auth/"+jwtPath+"/role/"+name, body, nil); err != nil {
		return fmt.Errorf("write vault role %s: %w", name, err)
	}
	return nil
}

// RoleName is the Vault role that a task names in its vault block to use a key.
func RoleName(verb, key string) string { return verb + "-" + key }

// grants makes keys, policies and roles for all grants of the lab.
func (v vaultAPI) grants(ctx context.Context, all []Grant) error {
	claims := map[[2]string]map[string][]string{}
	for _, g := range all {
		id := [2]string{g.Verb, g.Key}
		if claims[id] == nil {
			claims[id] = map[string][]string{}
		}
		for claim, value := range map[string]string{"nomad_namespace": g.Namespace, "nomad_job_id": g.Job, "nomad_task": g.Task} {
			if !slices.Contains(claims[id][claim], value) {
				claims[id][claim] = append(claims[id][claim], value)
			}
		}
	}
	for id, bound := range claims {
		verb, key := id[0], id[1]
		if err := v.key(ctx, key); err != nil {
			return err
		}
		path := transitPath + "/decrypt/" + key
		if verb == VerbSeal {
			path = transitPath + "/datakey/plaintext/" + key
		}
		policy := "stoker-" + RoleName(verb, key)
		if err := errors.Join(v.policy(ctx, policy, path), v.role(ctx, RoleName(verb, key), policy, bound)); err != nil {
			return err
		}
	}
	return nil
}

// key makes a transit key unless it is there. Derived, so that a data key is
// bound to its context: the model that it belongs to.
func (v vaultAPI) key(ctx context.Context, name string) error {
	path := "/v1/" + transitPath + "/keys/" + name
	err := v.get(ctx, path, nil)
	if statusOf(err) == http.StatusNotFound {
		err = v.put(ctx, path, map[string]any{"type": "aes256-gcm96", "derived": true}, nil)
	}
	if err != nil {
		return fmt.Errorf("make transit key %s: %w", name, err)
	}
	return nil
}
