package agent

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
)

// authenticates tells whether clients must show who they are.
func (a *Agent) authenticates() bool { return a.cfg.Token != nil || a.mutual() }

// mutual tells whether clients must have a certificate.
func (a *Agent) mutual() bool { return a.cfg.TLS != nil && a.cfg.TLS.Mutual() }

// guard lets only requests through that have what is configured: a certificate,
// the token, or both. It looks at the certificate first: who lacks one learns
// nothing of the token.
func (a *Agent) guard(next http.Handler) http.Handler {
	if !a.authenticates() {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A certificate of another authority has failed the handshake already.
		if a.mutual() && (r.TLS == nil || len(r.TLS.VerifiedChains) == 0) {
			refuse(w, http.StatusForbidden, "client certificate needed")
			return
		}
		if a.cfg.Token != nil && !HasToken(r, a.cfg.Token()) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="stoker agent"`)
			refuse(w, http.StatusUnauthorized, "bearer token needed")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// HasToken tells whether a request carries this bearer token; one that is empty
// nobody has.
func HasToken(r *http.Request, want string) bool {
	got, isBearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	// Hashes, so that the time taken tells nothing, the length included.
	g, x := sha256.Sum256([]byte(got)), sha256.Sum256([]byte(want))
	return want != "" && isBearer && subtle.ConstantTimeCompare(g[:], x[:]) == 1
}
