// Package seal encrypts model folders at rest and opens them into memory.
//
// A sealed artifact is a folder: manifest.json and one file per segment. Each
// file of the model is cut into segments (1 GiB); each segment is one DARE 2.0
// stream, AES-256-GCM in packages of 64 KiB, under a key of its own:
//
//	segment key = HKDF-SHA256(data key, salt URN, info "…segment" path index)
//	MAC key     = HKDF-SHA256(data key, salt URN, info "…manifest")
//
// because a DARE key must serve one stream only, and because a segment that is
// moved to another place, file, model or artifact is then under a wrong key.
// The data key is made by Vault, bound to the URN, and new for each sealing, so
// a segment of an older sealing does not open either.
//
// The manifest holds URN, Vault key, the wrapped data key, and for each file its
// path, mode, size and the length and SHA-256 of its plaintext segments. Its MAC
// (HMAC-SHA256) covers a canonical binary encoding (see Manifest.canonical) of
// everything but the wrapped key; the artifact's digest is SHA-256 over the same
// bytes followed by the MAC. So Rewrap, which never sees the plaintext key,
// changes neither; and the digest commits to the data key too: whoever can have
// data keys wrapped for this URN still cannot make another artifact with the
// same digest. That is why sealing one model twice gives two digests.
//
// Open takes URN and digest from its caller, never from the folder. It refuses a
// folder that is not memory, shows files under their names only when every
// segment has opened, and removes what it wrote when anything fails. It leaves a
// listing of their names, so that Wipe removes those and nothing else. It does
// not hash plaintext: GCM has authenticated it; Verify with Deep hashes.
//
// Functions run segments in parallel and are safe for concurrent use on
// different folders; one folder wants one writer at a time.
package seal
