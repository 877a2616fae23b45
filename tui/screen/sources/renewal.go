package sources

import (
	"strings"

	"stoker/cluster"
	"stoker/tui/screen/rows"
	"stoker/tui/ui"
)

// renewal says when the token for a source ends, where it is taken from, and what
// takes the place of one that ends.
func renewal(s *cluster.Snapshot, src *cluster.SourceStatus) []rows.Part {
	ends := src.Expires
	of, _, _ := strings.Cut(src.Name, "/")
	if v := s.Of(src.Place).Vault; of == "vault" && v != nil && v.TokenExpires != nil {
		ends = *v.TokenExpires
	}
	if ends.IsZero() {
		return nil
	}
	when := "It has ended, at "
	if left := ends.Sub(s.At); left > 0 {
		when = "It ends in " + ui.Dur(left) + ", at "
	}
	lines := append([]string{when + ends.UTC().Format("2006-01-02 15:04 UTC") + "."}, origin(src.Token)...)
	if of == "vault" {
		lines = append(lines, "vault token renew makes it last longer, where it may; vault login makes a new one.")
	} else {
		lines = append(lines, "Nomad's tokens are not made to last longer: nomad login or nomad acl token create makes a new one.")
	}
	lines = append(lines, "stoker makes none by itself. Another cluster: :ctx NAME")
	return []rows.Part{{Title: "THE TOKEN", Lines: lines}}
}

// origin says where a token is taken from, and where a new one is to be put.
func origin(from cluster.TokenOrigin) []string {
	switch {
	case from.File != "":
		return []string{"It is in the file " + from.File, "Put a new one there: the file is read again each minute, and nothing has to be started anew."}
	case from.Variable != "":
		return []string{
			"It is in the variable " + from.Variable + ", which was read when stoker started: start it again with a new one.",
			"A file that a context names as token_file is read again each minute.",
		}
	}
	return nil
}
