package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strings"
)

// identity derives what must be the same after a restart and cannot be guessed:
// a node's secret lets its bearer speak for the node.
type identity struct{ key []byte }

func (id identity) sum(parts ...string) []byte {
	mac := hmac.New(sha256.New, id.key)
	mac.Write([]byte(strings.Join(parts, "\x00")))
	return mac.Sum(nil)
}

func (id identity) uuid(parts ...string) string {
	b := id.sum(parts...)[:16]
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// number spreads over all 64 bits.
func (id identity) number(parts ...string) uint64 {
	return binary.LittleEndian.Uint64(id.sum(parts...))
}
