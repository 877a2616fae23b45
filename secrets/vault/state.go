package vault

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"

	"stoker/secrets"
)

// keyReaders bounds how many keys are read at once: a screen must not press Vault.
const keyReaders = 4

// State reads what a screen shows. A sealed Vault is a state, not an error; what
// the token may not read is in Denied. An error means that Vault did not answer.
func (c *Client) State(ctx context.Context) (secrets.State, error) {
	state := secrets.State{Address: c.cfg.Address, At: c.cfg.Now()}
	health, err := c.anon.Sys().HealthWithContext(ctx)
	if err != nil {
		r := request{op: "read the state of vault", path: "sys/health", capability: "read"}
		return secrets.State{Address: c.cfg.Address}, c.explain(ctx, r, err)
	}
	state.Sealed, state.Initialised = health.Sealed, health.Initialized
	state.Standby = health.Standby || health.PerformanceStandby
	state.Version, state.Cluster = health.Version, health.ClusterName
	if health.Sealed || !health.Initialized {
		return state, nil
	}
	if err := c.readToken(ctx, &state); err != nil {
		return state, err
	}
	return state, c.readKeys(ctx, &state)
}

// refused files err under Denied when it is a refusal, and else hands it back.
func refused(state *secrets.State, err error) error {
	var e *Error
	if errors.As(err, &e) && (errors.Is(err, ErrDenied) || errors.Is(err, ErrNotFound)) {
		state.Denied = append(state.Denied, secrets.Denied{Path: e.Path, Capability: e.Capability, Reason: e.detail})
		return nil
	}
	return err
}

func (c *Client) readToken(ctx context.Context, state *secrets.State) error {
	r := request{op: "look up the vault token", path: "auth/token/lookup-self", capability: "read"}
	answer, err := c.do(ctx, r)
	if err != nil {
		return refused(state, err)
	}
	state.TokenKnown = true
	state.TokenName, _ = answer.Data["display_name"].(string)
	state.Policies, err = answer.TokenPolicies()
	if err != nil {
		return fmt.Errorf("%s: %w", r.op, err)
	}
	if text, _ := answer.Data["expire_time"].(string); text != "" {
		expires, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return fmt.Errorf("%s: expiry %q: %w", r.op, text, err)
		}
		state.TokenExpires = &expires
	}
	return nil
}

func (c *Client) readKeys(ctx context.Context, state *secrets.State) error {
	names, err := c.keyNames(ctx)
	if err != nil {
		if err := refused(state, err); err != nil {
			return err
		}
		names = c.cfg.Keys
	}
	found := make([]secrets.Key, len(names))
	errs := make([]error, len(names))
	var readers sync.WaitGroup
	turn := make(chan struct{}, keyReaders)
	for i, name := range names {
		turn <- struct{}{}
		readers.Go(func() {
			found[i], errs[i] = c.key(ctx, name)
			<-turn
		})
	}
	readers.Wait()
	for i := range names {
		if errs[i] == nil {
			state.Keys = append(state.Keys, found[i])
		} else if err := refused(state, errs[i]); err != nil {
			return err
		}
	}
	state.KeysAt = state.At
	slices.SortFunc(state.Keys, func(a, b secrets.Key) int { return cmp.Compare(a.Name, b.Name) })
	return nil
}

func (c *Client) keyNames(ctx context.Context) ([]string, error) {
	answer, err := c.do(ctx, request{op: "list the transit keys", path: c.cfg.Mount + "/keys", capability: "list"})
	if errors.Is(err, ErrNotFound) && saidBy(err) == "" {
		return nil, nil // Vault's way to say that the list is empty
	}
	if err != nil {
		return nil, err
	}
	list, _ := answer.Data["keys"].([]any)
	names := make([]string, 0, len(list))
	for _, entry := range list {
		if name, ok := entry.(string); ok {
			names = append(names, name)
		}
	}
	return names, nil
}

func (c *Client) key(ctx context.Context, name string) (secrets.Key, error) {
	op := "read the key " + name
	if err := plainPath("transit key", name); err != nil {
		return secrets.Key{}, fmt.Errorf("%s: %w", op, err)
	}
	answer, err := c.do(ctx, request{op: op, path: c.cfg.Mount + "/keys/" + name, capability: "read"})
	if err != nil {
		return secrets.Key{}, err
	}
	return keyFrom(answer, name), nil
}

func keyFrom(answer *api.Secret, name string) secrets.Key {
	d := answer.Data
	key := secrets.Key{Name: name, Latest: number(d["latest_version"]), MinDecryption: number(d["min_decryption_version"])}
	key.Type, _ = d["type"].(string)
	key.Derived, _ = d["derived"].(bool)
	key.Exportable, _ = d["exportable"].(bool)
	key.DeletionAllowed, _ = d["deletion_allowed"].(bool)
	versions, _ := d["keys"].(map[string]any)
	for text, made := range versions {
		version, err := strconv.Atoi(text)
		if err != nil {
			continue
		}
		key.Versions = append(key.Versions, secrets.KeyVersion{Version: version, Created: created(made)})
	}
	slices.SortFunc(key.Versions, func(a, b secrets.KeyVersion) int { return cmp.Compare(a.Version, b.Version) })
	return key
}

// created reads when a version was made: seconds for a symmetric key, an object
// with a time for an asymmetric one.
func created(made any) time.Time {
	if object, ok := made.(map[string]any); ok {
		text, _ := object["creation_time"].(string)
		at, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return time.Time{}
		}
		return at
	}
	if seconds := number(made); seconds > 0 {
		return time.Unix(int64(seconds), 0).UTC()
	}
	return time.Time{}
}

func number(v any) int {
	n, ok := v.(json.Number)
	if !ok {
		return 0
	}
	i, err := n.Int64()
	if err != nil {
		return 0
	}
	return int(i)
}
