package secrets_test

import (
	"encoding/json"
	"strings"
	"testing"

	"stoker/secrets"
)

func TestParseURN(t *testing.T) {
	long := strings.Repeat("a", 63)
	for _, good := range []string{
		"urn:stoker:model:digits:1", "urn:stoker:model:Llama-3.1-8B:2026.01.02+cu12", "urn:stoker:model:a:b",
		"urn:stoker:model:" + long + ":" + long,
	} {
		u, err := secrets.ParseURN(good)
		if err != nil {
			t.Errorf("%s: %v", good, err)
			continue
		}
		if u.String() != good {
			t.Errorf("%s came back as %s", good, u)
		}
		if again, err := secrets.NewURN(u.Name(), u.Version()); err != nil || again != u {
			t.Errorf("%s: its parts make %s, %v", good, again, err)
		}
	}
	for _, bad := range []string{
		"", "digits:1", "urn:stoker:model:", "urn:stoker:model:digits", "urn:stoker:model:digits:", "urn:stoker:model::1",
		"URN:stoker:model:digits:1", "urn:stoker:key:digits:1", "urn:stoker:model:digits:1:2", "urn:stoker:model:..:1", "urn:stoker:model:digits:..",
		"urn:stoker:model:.hidden:1", "urn:stoker:model:a/b:1", "urn:stoker:model:a:1/2", "urn:stoker:model:a b:1", " urn:stoker:model:a:1",
		"urn:stoker:model:a:1\n", "urn:stoker:model:a%2f:1", "urn:stoker:model:a:1\x00", "urn:stoker:model:modèle:1",
		"urn:stoker:model:" + long + "a:1",
	} {
		if u, err := secrets.ParseURN(bad); err == nil {
			t.Errorf("%q was read as %s", bad, u)
		} else if !u.IsZero() {
			t.Errorf("%q: an error and a URN", bad)
		}
	}
}

func TestURNInJSON(t *testing.T) {
	type row struct {
		URN secrets.URN `json:"urn"`
	}
	var got row
	if err := json.Unmarshal([]byte(`{"urn":"urn:stoker:model:digits:1"}`), &got); err != nil || got.URN.Name() != "digits" {
		t.Errorf("read %v, %v", got, err)
	}
	out, err := json.Marshal([]row{got, {}})
	if err != nil || string(out) != `[{"urn":"urn:stoker:model:digits:1"},{"urn":""}]` {
		t.Errorf("wrote %s, %v", out, err)
	}
	if err := json.Unmarshal(out[strings.Index(string(out), `,{`)+1:len(out)-1], &got); err != nil || !got.URN.IsZero() {
		t.Errorf("empty URN read as %v, %v", got, err)
	}
	if err := json.Unmarshal([]byte(`{"urn":"urn:stoker:model:../x:1"}`), &got); err == nil {
		t.Error("a bad URN was read from JSON")
	}
}
