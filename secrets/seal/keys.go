package seal

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"strconv"

	"stoker/secrets"
)

// Datakeyer makes data keys; sealing needs no more than that. Vault Transit is
// this and the two below; each function here asks for the part that it needs,
// as the Vault policies do.
type Datakeyer interface {
	// Datakey gives a fresh key of 32 bytes, and the same wrapped under the
	// named key and bound to context.
	Datakey(ctx context.Context, key string, context []byte) (plaintext secrets.Secret, wrapped string, err error)
}

// Unwrapper opens wrapped data keys; opening needs no more than that.
type Unwrapper interface {
	Unwrap(ctx context.Context, key, wrapped string, context []byte) (secrets.Secret, error)
}

// Rewrapper wraps a data key again under the latest version of its key.
type Rewrapper interface {
	Rewrap(ctx context.Context, key, wrapped string, context []byte) (string, error)
}

const (
	keyBytes    = 32
	infoSegment = Format + " segment\x00"
	infoMAC     = Format + " manifest\x00"
)

// keys derives from one data key for one URN.
type keys struct {
	data secrets.Secret
	urn  secrets.URN
}

func newKeys(data secrets.Secret, urn secrets.URN) (keys, error) {
	if len(data.Bytes()) != keyBytes {
		data.Wipe()
		return keys{}, fmt.Errorf("the data key has not %d bytes", keyBytes)
	}
	return keys{data: data, urn: urn}, nil
}

func (k keys) derive(info string) ([]byte, error) {
	if k.data.Empty() {
		return nil, errors.New("the data key was wiped")
	}
	return hkdf.Key(sha256.New, k.data.Bytes(), []byte(k.urn.String()), info, keyBytes)
}

// segment is the key of one segment. A path holds no NUL, so no two (path,
// index) pairs make one info.
func (k keys) segment(path string, index int) ([]byte, error) {
	return k.derive(infoSegment + path + "\x00" + strconv.Itoa(index))
}

func (k keys) mac(m *Manifest) (Sum, error) {
	key, err := k.derive(infoMAC)
	if err != nil {
		return Sum{}, err
	}
	defer clear(key)
	h := hmac.New(sha256.New, key)
	h.Write(m.canonical())
	return Sum(h.Sum(nil)), nil
}

func (k keys) wipe() { k.data.Wipe() }
