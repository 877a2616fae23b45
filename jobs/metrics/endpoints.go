package metrics

import (
	"cmp"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"stoker/cluster"
)

// metricsTag is how a service says where its metrics are.
const metricsTag = "stoker.metrics="

// Endpoint is one place to scrape and what the job says of it. It is comparable.
type Endpoint struct {
	URL     string
	Job     cluster.JobID
	Alloc   cluster.AllocID
	Model   string // job meta stoker.model; may be empty
	Version string // job meta stoker.version; may be empty
}

// Endpoints lists what to scrape: every service instance with the tag
// stoker.metrics=/path whose allocation still lives, sorted.
func Endpoints(s *cluster.Snapshot) []Endpoint {
	var out []Endpoint
	for i := range s.Services {
		svc := &s.Services[i]
		path, ok := metricsPath(svc.Tags)
		if !ok || svc.Address == "" || svc.Port <= 0 {
			continue
		}
		if a := s.Alloc(svc.Alloc); a != nil && a.Terminal() {
			continue // its registration is about to go
		}
		e := Endpoint{Job: s.ServiceJob(svc), Alloc: svc.Alloc}
		address := "http://" + net.JoinHostPort(svc.Address, strconv.Itoa(svc.Port)) + path
		if u, err := url.Parse(address); err != nil || u.User != nil || u.Port() != strconv.Itoa(svc.Port) {
			continue
		}
		e.URL = address
		if j := s.Job(e.Job); j != nil {
			e.Model, e.Version = j.Model, j.ModelVer
		}
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b Endpoint) int {
		return cmp.Or(a.Job.Compare(b.Job), cmp.Compare(a.Alloc, b.Alloc), cmp.Compare(a.URL, b.URL))
	})
	return slices.Compact(out)
}

func metricsPath(tags []string) (path string, ok bool) {
	for _, tag := range tags {
		if path, ok = strings.CutPrefix(tag, metricsTag); ok && strings.HasPrefix(path, "/") {
			return path, true
		}
	}
	return "", false
}
