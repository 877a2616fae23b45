package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"stoker/secrets/seal"
)

// Up brings the lab up, or back up. It is harmless when everything runs; what
// died is started again with its data, and Vault is unsealed again. Grants of
// earlier calls stay. progress may be nil; calls of it do not overlap.
//
// When it fails, what was started stays for the next Up, or for Down.
func Up(ctx context.Context, spec Spec, progress func(Progress)) (*Lab, error) {
	spec, err := spec.filled()
	if err != nil {
		return nil, err
	}
	if err := checkDir(spec.Dir); err != nil {
		return nil, err
	}
	if err := makeDir(spec.Dir); err != nil {
		return nil, err
	}
	se, err := newSession(ctx, spec.Dir, progress)
	if err != nil {
		return nil, err
	}
	defer se.unlock()
	if err := se.adopt(ctx, spec); err != nil {
		// A folder without a lab in it is of no use to anybody.
		if se.state == nil {
			_ = os.Remove(spec.Dir)
		}
		return nil, err
	}
	if err := se.bringUp(ctx, spec); err != nil {
		return nil, fmt.Errorf("bring up lab %s: %w", spec.Name, err)
	}
	se.say("lab", "ready", true)
	return &Lab{paths: se.paths, name: spec.Name}, nil
}

// makeDir makes the lab's folder, or accepts one that holds a lab or nothing:
// Down removes it as a whole.
func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the lab's folder: %w", err)
	}
	if _, err := os.Stat(paths{dir}.state()); err == nil {
		return os.Chmod(dir, 0o700)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("look into the lab's folder: %w", err)
	}
	if len(entries) > 0 {
		return fmt.Errorf("folder %s holds other files and no lab: give an empty one, since taking the lab down removes it", dir)
	}
	return os.Chmod(dir, 0o700)
}

// adopt merges the spec into the state of the lab, which is made if missing.
func (se *session) adopt(ctx context.Context, spec Spec) error {
	s, err := loadState(spec.Dir)
	if errors.Is(err, ErrNoLab) {
		if spec.Servers == 0 {
			spec.Servers = 1
		}
		if len(spec.Nodes) == 0 {
			spec.Nodes = DefaultNodes()
		}
		s = newState(spec, time.Now())
	} else if err != nil {
		return err
	}
	if spec, err = reconcile(spec, s); err != nil {
		return err
	}
	if err := spec.check(); err != nil {
		return err
	}
	if s.Driver == "" || spec.Driver != DriverAuto {
		if s.Driver, err = settleDriver(ctx, spec.Driver); err != nil {
			return err
		}
	}
	s.Nodes, s.NomadBin, s.VaultBin = spec.Nodes, spec.NomadBin, spec.VaultBin
	s.Fleet, s.FleetBin = spec.Fleet, spec.FleetBin
	if spec.Chroot != nil {
		s.Chroot = spec.Chroot
	}
	for _, g := range spec.Grants {
		if !slices.Contains(s.Grants, g) {
			s.Grants = append(s.Grants, g)
		}
	}
	if s.Driver == DriverDocker && spec.Image.Name != "" {
		// Earlier ones stay until the lab goes: jobs that run may start again.
		s.addImage(spec.Image.Name)
	}
	if spec.PackVars != nil {
		s.PackVars = spec.PackVars(s.Driver, s.layout().vaultURL())
	}
	se.state = s
	if err := se.files(ctx, spec.PluginBin); err != nil {
		return err
	}
	return s.save(spec.Dir)
}

// reconcile fills what the spec leaves open from the lab that exists, and
// refuses what cannot be changed in place.
func reconcile(spec Spec, s *state) (Spec, error) {
	if spec.Name != s.Name {
		return spec, fmt.Errorf("folder %s holds the lab %q, not %q: take that one down first, or give another folder", spec.Dir, s.Name, spec.Name)
	}
	if spec.Servers == 0 {
		spec.Servers = s.Servers
	}
	if spec.Servers != s.Servers {
		return spec, fmt.Errorf("lab %s has %d nomad servers, not %d: take it down first to change that", s.Name, s.Servers, spec.Servers)
	}
	if len(spec.Nodes) == 0 {
		spec.Nodes = s.Nodes
	}
	for i, n := range s.Nodes {
		if i >= len(spec.Nodes) || spec.Nodes[i].Name != n.Name || !slices.Equal(spec.Nodes[i].GPUs, n.GPUs) || spec.Nodes[i].RealGPUs != n.RealGPUs {
			return spec, fmt.Errorf("lab %s has node %s already: nodes can be added at the end; take the lab down first to change others", s.Name, n.Name)
		}
	}
	switch {
	case spec.Fleet.Nodes == 0:
		churn := spec.Fleet.Churn
		if spec.Fleet = s.Fleet; churn > 0 {
			spec.Fleet.Churn = churn
		}
	case s.Fleet.Nodes != 0 && spec.Fleet.Nodes != s.Fleet.Nodes:
		return spec, fmt.Errorf("lab %s has a fleet of %d nodes, not %d: take it down first to change that", s.Name, s.Fleet.Nodes, spec.Fleet.Nodes)
	}
	if spec.FleetBin == "" {
		spec.FleetBin = s.FleetBin
	}
	if spec.NomadBin == "" {
		spec.NomadBin = s.NomadBin
	}
	if spec.VaultBin == "" {
		spec.VaultBin = s.VaultBin
	}
	return spec, nil
}

// files makes all folders and configuration files.
func (se *session) files(ctx context.Context, plugin string) error {
	p, s := se.paths, se.state
	dirs := []string{p.logs(), p.plugins(), p.tmp(), p.raft(), filepath.Join(p.dir, "conf")}
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("make the lab's folders: %w", err)
		}
	}
	// Tasks of the exec driver run as nobody; others are kept out by the mode of
	// the lab's folder, which a mount into a chroot does not pass through.
	if err := openDir(p.models()); err != nil {
		return err
	}
	if plugin != "" {
		if err := copyProgram(plugin, filepath.Join(p.plugins(), pluginName)); err != nil {
			return fmt.Errorf("copy the device plugin: %w", err)
		}
		s.PluginBin = filepath.Join(p.plugins(), pluginName)
	}
	for i, node := range s.Nodes {
		if err := makeSim(p.sim(node.Name), s.Name, p.allocs(i), node); err != nil {
			return err
		}
		if err := os.MkdirAll(p.allocs(i), 0o711); err != nil {
			return fmt.Errorf("make the lab's folders: %w", err)
		}
	}
	return se.configs(ctx)
}

func (se *session) configs(ctx context.Context) error {
	p, s := se.paths, se.state
	lay := s.layout()
	write := func(part string, text []byte, err error) error {
		if err != nil {
			return err
		}
		return writeFile(p.config(part), text)
	}
	text, err := renderVault(p, lay)
	if err := write("vault", text, err); err != nil {
		return err
	}
	for i := range lay.Servers {
		text, err := renderServer(p, lay, i, s.Fleet)
		if err := write(serverName(i), text, err); err != nil {
			return err
		}
	}
	base := chrootBase()
	for i, node := range s.Nodes {
		text, err := renderClient(p, s, i, base, os.Geteuid() == 0)
		if err != nil {
			return err
		}
		old, err := os.ReadFile(p.config(node.Name))
		if err == nil && bytes.Equal(old, text) {
			continue
		}
		// A client reads its file at start only. Its tasks do not notice.
		if err := se.proc(node.Name).stop(ctx, agentGrace); err != nil {
			return err
		}
		if err := writeFile(p.config(node.Name), text); err != nil {
			return err
		}
	}
	return nil
}

func openDir(dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("make the lab's folders: %w", err)
	}
	// MkdirAll heeds the umask.
	return os.Chmod(dir, 0o777)
}

// copyProgram gives the lab its own copy, so that a build does not change a
// running lab. It is replaced only when it differs in size or time.
func copyProgram(from, to string) error {
	src, err := os.Stat(from)
	if err != nil {
		return err
	}
	if dst, err := os.Stat(to); err == nil && dst.Size() == src.Size() && dst.ModTime().Equal(src.ModTime()) {
		return nil
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := writeFile(to, text); err != nil {
		return err
	}
	return errors.Join(os.Chmod(to, 0o700), os.Chtimes(to, time.Time{}, src.ModTime()))
}

func (se *session) bringUp(ctx context.Context, spec Spec) error {
	n := se.nomad()
	defer n.close()
	servers := []func(context.Context) error{se.vaultUp, func(ctx context.Context) error { return se.imageUp(ctx, spec.Image) }}
	for i := range se.state.Servers {
		servers = append(servers, func(ctx context.Context) error { return se.serverUp(ctx, i) })
	}
	servers = append(servers, func(ctx context.Context) error {
		if err := n.leader(ctx, nil); err != nil {
			return err
		}
		if err := n.bootstrap(ctx, se.paths); err != nil {
			return err
		}
		if err := n.rights(ctx, se.state.Grants); err != nil {
			return err
		}
		se.say("nomad", "has a leader", true)
		return nil
	})
	if err := together(ctx, servers...); err != nil {
		return err
	}
	if err := se.writeContext(); err != nil {
		return err
	}
	clients := []func(context.Context) error{se.vaultRights}
	for i := range se.state.Nodes {
		clients = append(clients, func(ctx context.Context) error { return se.clientUp(ctx, i) })
	}
	clients = append(clients, se.fleetUp)
	if err := together(ctx, clients...); err != nil {
		return err
	}
	for _, j := range spec.Jobs {
		if err := n.submit(ctx, j); err != nil {
			return err
		}
		se.say("job "+j.Name, "submitted", true)
	}
	return se.fleetWork(ctx)
}

// imageUp makes the image. Its name is in the state by now, so that Down finds
// it even if this call does not return.
func (se *session) imageUp(ctx context.Context, img Image) error {
	if se.state.Driver != DriverDocker || img.Name == "" {
		return nil
	}
	if err := ensureImage(ctx, img); err != nil {
		return err
	}
	se.say("image", img.Name, true)
	return nil
}

func (se *session) vaultUp(ctx context.Context) error {
	err := se.vaultStart(ctx)
	if errors.Is(err, errKeysLost) {
		if err = se.forgetVault(ctx, err); err == nil {
			err = se.vaultStart(ctx)
		}
	}
	if err != nil {
		return err
	}
	se.say("vault", "unsealed", true)
	return nil
}

func (se *session) vaultStart(ctx context.Context) error {
	se.saySlow("vault")
	lay := se.state.layout()
	_, err := se.ensure("vault", se.state.VaultBin, []string{lay.Vault, lay.VaultCluster},
		"server", "-config="+se.paths.config("vault"))
	if err != nil {
		return err
	}
	v := se.vault()
	defer v.close()
	return v.ready(ctx, se.paths, se.gone("vault"))
}

// forgetVault removes the data of a Vault whose keys are lost, so that the next
// start makes a new one. It refuses while there are artifacts that were sealed:
// whoever finds the keys again can still open them.
func (se *session) forgetVault(ctx context.Context, lost error) error {
	artifact, err := firstArtifact(se.paths.models())
	if err != nil {
		return errors.Join(lost, err)
	}
	if artifact != "" {
		return fmt.Errorf("%w: put the file back if you have it. Without it nothing opens what was sealed, such as %s: take the lab down and up again, which removes it too",
			lost, artifact)
	}
	se.say("vault", "its keys are lost and nothing was sealed: making it anew", false)
	if err := se.proc("vault").stop(ctx, agentGrace); err != nil {
		return err
	}
	// Moved first: half of the data would be a Vault that does not start.
	data := se.paths.raft()
	old := data + ".lost"
	err = errors.Join(os.RemoveAll(old), os.Rename(data, old), os.Mkdir(data, 0o700), os.RemoveAll(old))
	for _, path := range []string{se.paths.unsealKey(), se.paths.vaultToken()} {
		if rerr := os.Remove(path); !errors.Is(rerr, fs.ErrNotExist) {
			err = errors.Join(err, rerr)
		}
	}
	if err != nil {
		return fmt.Errorf("make vault anew: %w", err)
	}
	return nil
}

// firstArtifact finds a folder that holds a sealed artifact; "" when there is none.
func firstArtifact(dir string) (found string, err error) {
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Name() == seal.ManifestName {
			found = filepath.Dir(path)
			return fs.SkipAll
		}
		return err
	})
	return found, err
}

// vaultRights sets Vault up. It needs Nomad's keys, so Nomad must answer.
func (se *session) vaultRights(ctx context.Context) error {
	v := se.vault()
	defer v.close()
	if err := v.mounts(ctx, se.paths); err != nil {
		return err
	}
	if err := v.trust(ctx, se.state.layout().Servers[0].url()); err != nil {
		return err
	}
	if err := v.grants(ctx, se.state.Grants); err != nil {
		return err
	}
	se.say("vault", fmt.Sprintf("%d grants", len(se.state.Grants)), true)
	return nil
}

func (se *session) serverUp(ctx context.Context, i int) error {
	part, at := serverName(i), se.state.layout().Servers[i]
	se.saySlow(part)
	_, err := se.ensure(part, se.state.NomadBin, []string{at.addr(at.HTTP), at.addr(at.RPC), at.addr(at.Serf)},
		"agent", "-config="+se.paths.config(part))
	if err != nil {
		return err
	}
	n := newNomad(at.url(), "")
	defer n.close()
	err = until(ctx, part, 30*time.Second, se.gone(part), func(ctx context.Context) error {
		return n.get(ctx, "/v1/agent/health?type=server", nil)
	})
	if err != nil {
		return err
	}
	se.say(part, "up", true)
	return nil
}

func (se *session) clientUp(ctx context.Context, i int) error {
	node, at := se.state.Nodes[i], se.state.layout().Clients[i]
	part := node.Name
	if !se.proc(part).alive() {
		se.saySlow(part)
		se.sweepNode(ctx, i)
	}
	_, err := se.ensure(part, se.state.NomadBin, []string{at.addr(at.HTTP), at.addr(at.RPC)},
		"agent", "-config="+se.paths.config(part))
	if err != nil {
		return err
	}
	self := newNomad(at.url(), "")
	defer self.close()
	gone := se.gone(part)
	// The servers may still list the node as ready from before it died.
	err = until(ctx, "node "+part, 30*time.Second, gone, func(ctx context.Context) error {
		return self.get(ctx, "/v1/agent/health?type=client", nil)
	})
	if err != nil {
		return err
	}
	n := se.nomad()
	defer n.close()
	gpus := 0
	if se.state.PluginBin != "" {
		for _, g := range node.GPUs {
			gpus += g.Count
		}
	}
	if err := n.nodeReady(ctx, part, gpus, se.proc("vault").alive(), gone); err != nil {
		return fmt.Errorf("%w; its log is %s", err, se.paths.log(part))
	}
	se.say(part, fmt.Sprintf("ready with %d GPUs", gpus), true)
	return nil
}
