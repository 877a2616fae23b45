package action

import (
	"errors"
	"fmt"

	"stoker/cluster"
)

// Rights is asked what the token may do.
type Rights interface {
	// Lacks says that the token is known to have none of the capabilities: in the
	// namespace, or in any where that is empty. What is not known is not lacking.
	Lacks(namespace string, capabilities []string) bool
}

// lacking refuses what the token is known not to allow, in one namespace or in
// all of them where that is empty.
func (r *Runner) lacking(id ID, namespace string) error {
	def, ok := Lookup(id)
	if !ok || r.Rights == nil || !r.Rights.Lacks(namespace, def.Needs) {
		return nil
	}
	text := "the token lacks " + def.Needs[0]
	if namespace != "" && !r.Rights.Lacks("", def.Needs) {
		text += " in the namespace " + namespace
	}
	return &cluster.Fault{Kind: cluster.ErrDenied, Text: text, Advice: adviceRights}
}

const adviceRights = "nomad acl token self names the policies of the token"

// needing adds to a refusal of the scheduler what the action takes.
func needing(id ID, err error) error {
	def, ok := Lookup(id)
	if !ok || !errors.Is(err, cluster.ErrDenied) {
		return err
	}
	return &cluster.Fault{Kind: cluster.ErrDenied, Text: fmt.Sprintf("%s: it takes %s", err, def.Needs[0]), Advice: adviceRights, Err: err}
}
