package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"stoker/cluster"
	"stoker/secrets"
)

// Every is how often Run looks.
const Every = 5 * time.Second

// Variables is what a Registry needs of Nomad.
type Variables interface {
	// ListVariables gives the paths under a prefix that may be read.
	ListVariables(ctx context.Context, prefix string) ([]string, error)
	// ReadVariable gives the items at a path, or an error that is
	// cluster.ErrNotFound.
	ReadVariable(ctx context.Context, path string) (map[string]string, error)
}

// Writer is what registering needs.
type Writer interface {
	// WriteVariable replaces the items at a path.
	WriteVariable(ctx context.Context, path string, items map[string]string) error
}

// Registry reads the registered versions of one cluster.
type Registry struct {
	Place cluster.Place
	Vars  Variables
	// Status, when set, is told by Run how each look went.
	Status func(cluster.SourceStatus)
	Now    func() time.Time // time.Now unless set
	Every  time.Duration    // Every unless set
}

// Put registers a version, in place of what was registered under its URN.
func Put(ctx context.Context, w Writer, a cluster.Artifact) error {
	items, err := Encode(a)
	if err != nil {
		return err
	}
	path, err := Path(a.URN)
	if err != nil {
		return err
	}
	if err := w.WriteVariable(ctx, path, items); err != nil {
		return fmt.Errorf("register %s: %w", a.URN, err)
	}
	return nil
}

// Get gives one version; the error is cluster.ErrNotFound when there is none.
func (r *Registry) Get(ctx context.Context, urn secrets.URN) (cluster.Artifact, error) {
	path, err := Path(urn)
	if err != nil {
		return cluster.Artifact{}, err
	}
	a, err := r.read(ctx, path)
	if errors.Is(err, cluster.ErrNotFound) {
		return a, fmt.Errorf("model %s version %s is not registered: %w", urn.Name(), urn.Version(), err)
	}
	return a, err
}

func (r *Registry) read(ctx context.Context, path string) (cluster.Artifact, error) {
	items, err := r.Vars.ReadVariable(ctx, path)
	if err != nil {
		return cluster.Artifact{}, err
	}
	a, err := Decode(path, items)
	a.Place = r.Place
	return a, err
}

// List gives all versions, by name and age. Where single ones cannot be read
// the others come with an error that says which.
func (r *Registry) List(ctx context.Context) ([]cluster.Artifact, error) {
	paths, err := r.Vars.ListVariables(ctx, prefix)
	if err != nil {
		return nil, fmt.Errorf("list registered models: %w", err)
	}
	out := make([]cluster.Artifact, 0, len(paths))
	var errs []error
	for _, path := range paths {
		a, err := r.read(ctx, path)
		switch {
		case errors.Is(err, cluster.ErrNotFound): // removed since it was listed
		case err != nil:
			errs = append(errs, err)
		default:
			out = append(out, a)
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	slices.SortFunc(out, func(a, b cluster.Artifact) int {
		return cmp.Or(cmp.Compare(a.Model, b.Model), a.Created.Compare(b.Created), cmp.Compare(a.Version, b.Version))
	})
	return out, errors.Join(errs...)
}

// Run emits all versions now and then every five seconds, until ctx ends. When
// they cannot be listed nothing is emitted: what was known stays, and ages.
func (r *Registry) Run(ctx context.Context, emit func([]cluster.Artifact)) error {
	ticker := time.NewTicker(cmp.Or(r.Every, Every))
	defer ticker.Stop()
	for {
		rows, err := r.List(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if rows != nil {
			emit(rows)
		}
		r.tell(err, rows != nil)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

func (r *Registry) tell(err error, listed bool) {
	if r.Status == nil {
		return
	}
	now := time.Now
	if r.Now != nil {
		now = r.Now
	}
	s := cluster.SourceStatus{Place: r.Place, Name: "registry", State: cluster.SourceLive}
	if listed {
		s.AsOf = now()
	}
	if err != nil {
		s.State, s.Err = cluster.SourceRetrying, err.Error()
		s.Retry = now().Add(cmp.Or(r.Every, Every))
		if errors.Is(err, cluster.ErrDenied) {
			s.State = cluster.SourceDenied
		}
	}
	r.Status(s)
}
