package vault

import (
	"context"
	"fmt"
	"strings"
	"time"

	"stoker/secrets"
)

// Login is what a login gave: a token, what it may do and until when.
type Login struct {
	Token    secrets.Secret
	Policies []string
	Lease    secrets.Lease // its ID is the token's accessor
}

// LoginJWT trades a signed identity, such as the one Nomad gives to each task,
// for a token. The mount is that of the auth method, for example "jwt-nomad".
// It does not change which token this Client uses.
func (c *Client) LoginJWT(ctx context.Context, mount, role string, jwt secrets.Secret) (Login, error) {
	op := fmt.Sprintf("log in to vault as role %s", role)
	if jwt.Empty() {
		return Login{}, fmt.Errorf("%s: there is no identity: give the task an identity block for vault", op)
	}
	r := request{
		op: op, path: "auth/" + strings.Trim(mount, "/") + "/login", capability: "create",
		body: map[string]any{"role": role, "jwt": strings.TrimSpace(jwt.Reveal())},
	}
	answer, err := send(ctx, c.anon, r)
	if err != nil {
		return Login{}, c.loginError(ctx, r, err)
	}
	if answer == nil || answer.Auth == nil || answer.Auth.ClientToken == "" {
		return Login{}, fmt.Errorf("%s: vault gave no token", op)
	}
	c.called(r.path, answer.RequestID)
	login := Login{
		Token:    secrets.New(answer.Auth.ClientToken),
		Policies: answer.Auth.TokenPolicies,
		Lease:    secrets.Lease{ID: answer.Auth.Accessor, Renewable: answer.Auth.Renewable},
	}
	if answer.Auth.LeaseDuration > 0 {
		login.Lease.Expires = c.cfg.Now().Add(time.Duration(answer.Auth.LeaseDuration) * time.Second)
	}
	return login, nil
}

// loginError: Vault answers 400 or 403 to a refused login, with the reason, and
// the missing capability is never the point.
func (c *Client) loginError(ctx context.Context, r request, err error) error {
	code := status(err)
	if code != 400 && code != 403 {
		return c.explain(ctx, r, err)
	}
	e := &Error{Op: r.op, Path: r.path, Status: code, kind: ErrDenied, cause: err}
	e.detail = fmt.Sprintf("vault refused the identity at %s: %s", r.path, oneLine(saidBy(err)))
	e.hint = "the role's bound_audiences and bound_claims must match the job's namespace, job ID and task"
	return e
}

// JWTSource is a token source that logs in with what read gives, each time that
// it is asked: a Client asks at its first call and after a refusal, not between.
// Give it to WithToken.
func (c *Client) JWTSource(mount, role string, read TokenSource) TokenSource {
	return func(ctx context.Context) (secrets.Secret, error) {
		jwt, err := read(ctx)
		if err != nil {
			return secrets.Secret{}, fmt.Errorf("read the workload identity: %w", err)
		}
		login, err := c.LoginJWT(ctx, mount, role, jwt)
		return login.Token, err
	}
}
