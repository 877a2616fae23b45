package wire

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"stoker/cluster/contexts"
	"stoker/jobs/action"
	"stoker/secrets"
)

// stateAt is a machine whose folder for state is dir.
func stateAt(dir string) contexts.System {
	return contexts.System{Home: dir, Getenv: func(name string) string {
		return map[string]string{"XDG_STATE_HOME": dir}[name]
	}}
}

// TestRotate: a key is rotated and noted, and not rotated where that could not be noted.
func TestRotate(t *testing.T) {
	var asked []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.Path)
		_, _ = io.WriteString(w, `{"request_id":"r-1","data":{}}`)
	}))
	defer srv.Close()
	dir := t.TempDir()
	var calls lastCall
	vc, err := OpenVault(contexts.Context{Vault: contexts.Vault{Address: srv.URL}}, secrets.NewRedactor(), calls.note)
	if err != nil {
		t.Fatal(err)
	}

	full := filepath.Join(dir, "full") // a file where a folder should be
	if err := os.WriteFile(full, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err = rotate(vc, auditFile(stateAt(full), "lab", secrets.NewRedactor()), &calls)(t.Context(), "models")
	if !errors.Is(err, action.ErrAudit) || len(asked) > 0 {
		t.Errorf("what could not be noted was asked for: %q, %v", asked, err)
	}

	audit := auditFile(stateAt(dir), "lab", secrets.NewRedactor())
	defer audit.Close()
	if err := rotate(vc, audit, &calls)(t.Context(), "models"); err != nil || len(asked) != 1 {
		t.Fatalf("asked %q, %v", asked, err)
	}
	line, err := os.ReadFile(filepath.Join(dir, "stoker", "audit.jsonl"))
	if err != nil || !strings.Contains(string(line), `"target":"key models","touched":["key models: gets a new version"],"vault_request_id":"r-1","result":"done"`) {
		t.Errorf("%s %v", line, err)
	}
}
