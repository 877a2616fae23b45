package vault

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"stoker/secrets"
)

// dataKeyBits is the length of a data key: it feeds HKDF-SHA256.
const dataKeyBits = 256

// Datakey makes a fresh data key of 32 bytes: in plaintext, and wrapped under
// the named Transit key and bound to bindTo, which Unwrap and Rewrap want again.
// It needs "update" on <mount>/datakey/plaintext/<key>.
func (c *Client) Datakey(ctx context.Context, key string, bindTo []byte) (plaintext secrets.Secret, wrapped string, err error) {
	answer, err := c.transit(ctx, "get a data key under "+key, "datakey/plaintext", key, bindTo, map[string]any{"bits": dataKeyBits})
	if err != nil {
		return secrets.Secret{}, "", err
	}
	plaintext, err = secretField(answer, "plaintext")
	if err != nil {
		return secrets.Secret{}, "", fmt.Errorf("get a data key under %s: %w", key, err)
	}
	wrapped, _ = answer["ciphertext"].(string)
	if wrapped == "" || len(plaintext.Bytes()) != dataKeyBits/8 {
		plaintext.Wipe()
		return secrets.Secret{}, "", fmt.Errorf("get a data key under %s: vault's answer is incomplete", key)
	}
	return plaintext, wrapped, nil
}

// Unwrap opens a wrapped data key. It needs "update" on <mount>/decrypt/<key>.
func (c *Client) Unwrap(ctx context.Context, key, wrapped string, bindTo []byte) (secrets.Secret, error) {
	op := "unwrap a data key under " + key
	answer, err := c.transit(ctx, op, "decrypt", key, bindTo, map[string]any{"ciphertext": wrapped})
	if err != nil {
		return secrets.Secret{}, err
	}
	plaintext, err := secretField(answer, "plaintext")
	if err != nil {
		return secrets.Secret{}, fmt.Errorf("%s: %w", op, err)
	}
	return plaintext, nil
}

// Rewrap wraps a data key again under the latest version of the Transit key; the
// plaintext does not leave Vault. It needs "update" on <mount>/rewrap/<key>.
func (c *Client) Rewrap(ctx context.Context, key, wrapped string, bindTo []byte) (string, error) {
	op := "rewrap a data key under " + key
	answer, err := c.transit(ctx, op, "rewrap", key, bindTo, map[string]any{"ciphertext": wrapped})
	if err != nil {
		return "", err
	}
	again, _ := answer["ciphertext"].(string)
	if again == "" {
		return "", fmt.Errorf("%s: vault's answer holds no ciphertext", op)
	}
	return again, nil
}

// CreateKey makes a Transit key fit for models: AES-256-GCM, derived, so that
// Vault itself binds each data key to its model. It fails when the name is taken
// by a key of another kind, and does nothing when it is there already. stoker
// makes no keys by itself: tests against a real Vault set theirs up with this.
func (c *Client) CreateKey(ctx context.Context, key string) error {
	_, err := c.transit(ctx, "create the key "+key, "keys", key, nil, map[string]any{"type": "aes256-gcm96", "derived": true})
	if err != nil {
		return err
	}
	// Vault answers 200 to a name that exists, whatever its kind.
	made, err := c.key(ctx, key)
	if err != nil {
		return err
	}
	if !made.Derived || made.Type != "aes256-gcm96" {
		return fmt.Errorf("create the key %s: there is one already, of type %s and derived=%t: use another name", key, made.Type, made.Derived)
	}
	return nil
}

// RotateKey adds a version to the key; what is wrapped under older ones still opens.
func (c *Client) RotateKey(ctx context.Context, key string) error {
	_, err := c.transit(ctx, "rotate the key "+key, "keys", key+"/rotate", nil, map[string]any{})
	return err
}

func (c *Client) transit(ctx context.Context, op, verb, key string, bindTo []byte, body map[string]any) (map[string]any, error) {
	// Only keys/<name>/rotate has a word after the name.
	if err := plainPath("transit key", strings.TrimSuffix(key, "/rotate")); err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	if bindTo != nil {
		body["context"] = base64.StdEncoding.EncodeToString(bindTo)
	}
	answer, err := c.do(ctx, request{op: op, path: c.cfg.Mount + "/" + verb + "/" + key, capability: "update", body: body})
	if err != nil {
		return nil, err
	}
	return answer.Data, nil
}

func secretField(data map[string]any, field string) (secrets.Secret, error) {
	text, _ := data[field].(string)
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(raw) == 0 {
		// Not err itself: it could quote a piece of the key.
		return secrets.Secret{}, errors.New("vault's answer holds no key")
	}
	return secrets.FromBytes(raw), nil
}
