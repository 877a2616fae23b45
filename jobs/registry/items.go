package registry

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"stoker/cluster"
	"stoker/secrets"
)

// The items of a variable. All but the evaluation and trained_by are always there.
const (
	itemURN        = "urn"
	itemDigest     = "digest"
	itemKey        = "key"
	itemKeyVersion = "key_version"
	itemBytes      = "bytes"
	itemCreated    = "created"
	itemTrainedBy  = "trained_by"
	// evalPrefix begins the items of an evaluation: eval.accuracy, eval.f1, …
	evalPrefix = "eval."
)

// prefix of the paths of all variables.
const prefix = "stoker/models/"

// maxPath is the longest path that Nomad takes.
const maxPath = 128

var (
	digestPattern = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	keyPattern    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)
	metricPattern = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)
)

// Path is where a version is kept. Nomad's paths know neither dots nor plus
// signs, so these are written as ~2e and ~2b: 1.2 is at …/1~2e2.
func Path(urn secrets.URN) (string, error) {
	if urn.IsZero() {
		return "", errors.New("a model without a URN cannot be registered")
	}
	escape := strings.NewReplacer(".", "~2e", "+", "~2b")
	path := prefix + escape.Replace(urn.Name()) + "/" + escape.Replace(urn.Version())
	if len(path) > maxPath {
		return "", fmt.Errorf("name and version of %s are too long for a nomad variable by %d characters (a dot or plus sign takes three)", urn, len(path)-maxPath)
	}
	return path, nil
}

// Encode gives the items of a version, checked as Decode checks them.
func Encode(a cluster.Artifact) (map[string]string, error) {
	items := map[string]string{
		itemURN:        a.URN.String(),
		itemDigest:     a.Digest,
		itemKey:        a.Key,
		itemKeyVersion: strconv.Itoa(a.KeyVersion),
		itemBytes:      strconv.FormatInt(a.Bytes, 10),
		itemCreated:    a.Created.UTC().Format(time.RFC3339),
	}
	if a.TrainedBy != (cluster.JobID{}) {
		items[itemTrainedBy] = a.TrainedBy.String()
	}
	for name, v := range a.Evaluation {
		items[evalPrefix+name] = strconv.FormatFloat(v, 'g', -1, 64)
	}
	path, err := Path(a.URN)
	if err != nil {
		return nil, err
	}
	if a.Model != a.URN.Name() || a.Version != a.URN.Version() {
		return nil, fmt.Errorf("register %s: it is called model %q version %q", a.URN, a.Model, a.Version)
	}
	if a.Created.IsZero() {
		return nil, fmt.Errorf("register %s: the time of its creation is missing", a.URN)
	}
	if _, err := Decode(path, items); err != nil {
		return nil, fmt.Errorf("register %s: %w", a.URN, err)
	}
	return items, nil
}

// Decode reads the items found at a path. The Place is left empty.
func Decode(path string, items map[string]string) (cluster.Artifact, error) {
	a, err := decode(path, items)
	if err != nil {
		return cluster.Artifact{}, fmt.Errorf("nomad variable %s: %w", path, err)
	}
	return a, nil
}

func decode(path string, items map[string]string) (a cluster.Artifact, err error) {
	r := reader{items: items}
	urn, urnErr := secrets.ParseURN(r.text(itemURN))
	if urnErr != nil {
		return a, urnErr
	}
	if own, err := Path(urn); err != nil || own != path {
		return a, fmt.Errorf("it holds %s, which does not belong there", urn)
	}
	a.URN, a.Model, a.Version = urn, urn.Name(), urn.Version()
	a.Digest = r.matching(itemDigest, digestPattern)
	a.Key = r.matching(itemKey, keyPattern)
	a.KeyVersion = int(r.whole(itemKeyVersion, 1, math.MaxInt32))
	a.Bytes = r.whole(itemBytes, 0, math.MaxInt64)
	a.Created = r.time(itemCreated)
	a.TrainedBy = r.job(itemTrainedBy)
	a.Evaluation = r.evaluation()
	return a, r.err
}

// reader takes items and keeps the first error.
type reader struct {
	items map[string]string
	err   error
}

func (r *reader) wrong(item, want string) {
	if r.err != nil {
		return
	}
	text, there := r.items[item]
	if !there {
		r.err = fmt.Errorf("item %s is missing", item)
		return
	}
	r.err = fmt.Errorf("item %s is %q, want %s", item, text, want)
}

func (r *reader) text(item string) string { return r.items[item] }

func (r *reader) matching(item string, pattern *regexp.Regexp) string {
	if !pattern.MatchString(r.items[item]) {
		r.wrong(item, pattern.String())
	}
	return r.items[item]
}

func (r *reader) whole(item string, least, most int64) int64 {
	v, err := strconv.ParseInt(r.items[item], 10, 64)
	if err != nil || v < least || v > most || strconv.FormatInt(v, 10) != r.items[item] {
		r.wrong(item, fmt.Sprintf("a whole number from %d on", least))
	}
	return v
}

func (r *reader) time(item string) time.Time {
	at, err := time.Parse(time.RFC3339, r.items[item])
	if err != nil || at.IsZero() {
		r.wrong(item, "a time as in RFC 3339")
	}
	return at.UTC()
}

func (r *reader) job(item string) cluster.JobID {
	text, there := r.items[item]
	if !there {
		return cluster.JobID{}
	}
	namespace, name, ok := strings.Cut(text, "/")
	if !ok || namespace == "" || name == "" {
		r.wrong(item, "namespace/job")
	}
	return cluster.JobID{Namespace: namespace, Name: name}
}

func (r *reader) evaluation() map[string]float64 {
	var out map[string]float64
	for item, text := range r.items {
		name, ok := strings.CutPrefix(item, evalPrefix)
		if !ok {
			continue
		}
		v, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) || !metricPattern.MatchString(name) {
			r.wrong(item, "a number, under a name of lower-case letters, digits and underscores")
			continue
		}
		if out == nil {
			out = map[string]float64{}
		}
		out[name] = v
	}
	return out
}
