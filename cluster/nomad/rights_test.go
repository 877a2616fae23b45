package nomad

import (
	"fmt"
	"net/http"
	"testing"

	"stoker/cluster"
)

// TestRights merges policies as Nomad does, in the shape in which Nomad 1.11
// tells them; and says of nothing that it is lacking unless all is known.
func TestRights(t *testing.T) {
	const self, read = `{"Type":"client"}`, `"list-jobs","parse-job","read-job"`
	type ask struct {
		namespace, capability string
		lacks                 bool
	}
	for name, c := range map[string]struct {
		self     string
		policies []string // their RulesJSON
		asks     []ask
	}{
		"reads only": {self, []string{`{"Node":{"Policy":"read"},"Namespaces":[{"Name":"default","Policy":"read","Capabilities":[` + read + `]}]}`}, []ask{
			{"", "node:write", true},
			{"default", "submit-job", true},
			{"", "submit-job", true},
			{"default", "read-job", false},
			{"prod", "read-job", true},
			{"", "read-job", false},
		}},
		"two policies add up": {self, []string{`{"Node":{"Policy":"read"}}`, `{"Node":{"Policy":"write"},"Namespaces":[{"Name":"default","Capabilities":["scale-job"]}]}`, `{"Namespaces":[{"Name":"default","Capabilities":["submit-job"]}]}`}, []ask{
			{"", "node:write", false}, {"default", "scale-job", false}, {"default", "submit-job", false}, {"default", "alloc-lifecycle", true},
		}},
		"to deny is stronger": {self, []string{`{"Node":{"Policy":"deny"}}`, `{"Node":{"Policy":"write"},"Namespaces":[{"Name":"a","Capabilities":["submit-job"]},{"Name":"a","Capabilities":["deny"]}]}`}, []ask{
			{"", "node:write", true}, {"a", "submit-job", true}, {"", "submit-job", true},
		}},
		"the closest pattern counts": {self, []string{`{"Namespaces":[{"Name":"*","Capabilities":["submit-job"]},{"Name":"prod-*","Capabilities":["read-job"]},{"Name":"prod-api","Capabilities":["alloc-lifecycle"]}]}`}, []ask{
			{"dev", "submit-job", false},
			{"prod-web", "submit-job", true},
			{"prod-web", "read-job", false},
			{"prod-api", "read-job", true},
			{"prod-api", "alloc-lifecycle", false},
		}},
		"no policy at all":           {self, nil, []ask{{"", "node:write", true}, {"default", "submit-job", true}}},
		"a management token":         {`{"Type":"management"}`, nil, []ask{{"", "node:write", false}, {"default", "submit-job", false}}},
		"a policy that is not told":  {self, []string{`null`}, []ask{{"", "node:write", false}, {"default", "submit-job", false}}},
		"a short word not spelt out": {self, []string{`{"Namespaces":[{"Name":"default","Policy":"read"}]}`}, []ask{{"", "node:write", false}}},
	} {
		t.Run(name, func(t *testing.T) {
			srv := newServer(t)
			srv.on("GET /v1/acl/token/self", status(http.StatusOK, c.self))
			list := "["
			for i, rules := range c.policies {
				if i > 0 {
					list += ","
				}
				list += fmt.Sprintf(`{"Name":"p%d"}`, i)
				srv.on(fmt.Sprintf("GET /v1/acl/policy/p%d", i), status(http.StatusOK, `{"RulesJSON":`+rules+`}`))
			}
			srv.on("GET /v1/acl/policies", status(http.StatusOK, list+"]"))
			client := open(t, srv.URL)
			r := start(t, client)
			r.until("the token", func(s *cluster.Snapshot) bool { return s.Source("nomad/token") != nil })
			for _, a := range c.asks {
				if got := client.Lacks(a.namespace, []string{a.capability}); got != a.lacks {
					t.Errorf("lacks %s in %q: %v", a.capability, a.namespace, got)
				}
			}
			if client.Lacks("default", []string{"nothing", "read-job"}) != client.Lacks("default", []string{"read-job"}) {
				t.Error("one of several is not enough")
			}
		})
	}
}

func TestRightsWithoutACLs(t *testing.T) {
	srv := newServer(t)
	srv.on("GET /v1/acl/token/self", status(http.StatusBadRequest, "ACL support disabled"))
	c := open(t, srv.URL)
	r := start(t, c)
	r.until("the token", func(s *cluster.Snapshot) bool { return s.Source("nomad/token") != nil })
	if c.Lacks("", []string{"node:write"}) {
		t.Error("without ACLs everybody may do all")
	}
}
