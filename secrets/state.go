package secrets

import "time"

// Key is one Transit key as Vault describes it. Latest and MinDecryption are
// versions: data wrapped under a version below MinDecryption no longer opens.
type Key struct {
	Name            string       `json:"name"`
	Type            string       `json:"type"`
	Derived         bool         `json:"derived"` // false: Vault ignores the context, so nothing binds a wrapped key to its model
	Latest          int          `json:"latest"`
	MinDecryption   int          `json:"min_decryption"`
	Versions        []KeyVersion `json:"versions,omitempty"` // in rising order
	Exportable      bool         `json:"exportable"`
	DeletionAllowed bool         `json:"deletion_allowed"`
}

// KeyVersion is one version of a key that Vault still holds.
type KeyVersion struct {
	Version int       `json:"version"`
	Created time.Time `json:"created"`
}

// Denied is one thing that could not be read, and the capability that it wants.
type Denied struct {
	Path       string `json:"path"`
	Capability string `json:"capability"`
	Reason     string `json:"reason"`
}

// State is what a screen shows of one Vault at one time. When Err is set, the
// rest is what was known before and At is when that was read.
type State struct {
	Address     string `json:"address"`
	Sealed      bool   `json:"sealed"`
	Initialised bool   `json:"initialised"`
	Standby     bool   `json:"standby"`
	Version     string `json:"version,omitempty"`
	Cluster     string `json:"cluster,omitempty"`
	Keys        []Key  `json:"keys,omitempty"` // sorted by name
	// KeysAt is when Keys were read: before At while Vault is sealed, since it
	// tells of none then. Zero: never.
	KeysAt time.Time `json:"keys_at,omitzero"`
	// TokenExpires is nil when unknown or when the token never expires: look
	// at TokenKnown to tell these apart.
	TokenExpires *time.Time `json:"token_expires,omitempty"`
	TokenKnown   bool       `json:"token_known"` // Vault described the token
	TokenName    string     `json:"token_name,omitempty"`
	Policies     []string   `json:"policies,omitempty"`
	Denied       []Denied   `json:"denied,omitempty"`
	At           time.Time  `json:"at,omitzero"` // zero: never read
	Err          string     `json:"err,omitempty"`
	Hint         string     `json:"hint,omitempty"`
	Retry        time.Time  `json:"retry,omitzero"` // when it is tried again; zero when it is not waiting
}
