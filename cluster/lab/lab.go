package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Lab is a lab that exists. It is a handle: what it says is read at each call.
type Lab struct {
	paths paths
	name  string
}

// Open finds a lab by its folder or by its name.
func Open(dirOrName string) (*Lab, error) {
	if dirOrName == "" {
		dirOrName = DefaultName
	}
	dir := dirOrName
	if !strings.ContainsRune(dirOrName, filepath.Separator) {
		var err error
		if dir, err = DefaultDir(dirOrName); err != nil {
			return nil, err
		}
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find lab %s: %w", dirOrName, err)
	}
	s, err := loadState(dir)
	if err != nil {
		return nil, err
	}
	return &Lab{paths: paths{dir}, name: s.Name}, nil
}

// Name is the lab's name and that of its context.
func (l *Lab) Name() string { return l.name }

// Dir is the lab's folder.
func (l *Lab) Dir() string { return l.paths.dir }

// ModelsDir is the folder of the volume "models" on this machine.
func (l *Lab) ModelsDir() string { return l.paths.models() }

// SimDir is the folder of a node's simulated GPUs, as package gpu/sim uses it.
func (l *Lab) SimDir(node string) string { return l.paths.sim(node) }

// AuditLog is Vault's audit file.
func (l *Lab) AuditLog() string { return l.paths.audit() }

// Logs is the path of the log of a part: "vault", "server-1" or a node's name.
func (l *Lab) Logs(part string) string { return l.paths.log(part) }

// Env holds what the official command-line programs need to reach the lab, as
// NAME=value. It holds tokens.
func (l *Lab) Env() ([]string, error) {
	s, err := loadState(l.paths.dir)
	if err != nil {
		return nil, err
	}
	nomad, err1 := os.ReadFile(l.paths.nomadToken())
	vault, err2 := os.ReadFile(l.paths.vaultToken())
	if err := errors.Join(err1, err2); err != nil {
		return nil, fmt.Errorf("read the lab's tokens: %w", err)
	}
	lay := s.layout()
	return []string{
		"NOMAD_ADDR=" + lay.Servers[0].url(),
		"NOMAD_TOKEN=" + strings.TrimSpace(string(nomad)),
		"VAULT_ADDR=" + lay.vaultURL(),
		"VAULT_TOKEN=" + strings.TrimSpace(string(vault)),
	}, nil
}

// session is one call's turn with the lab: the folder is locked, the state in
// hand. The mutex guards the state where a call works on several parts at once.
type session struct {
	paths  paths
	unlock func()
	began  time.Time
	report func(Progress)

	mu    sync.Mutex
	state *state
}

func newSession(ctx context.Context, dir string, report func(Progress)) (*session, error) {
	unlock, err := lock(ctx, dir)
	if err != nil {
		return nil, err
	}
	if report == nil {
		report = func(Progress) {}
	}
	return &session{paths: paths{dir}, unlock: unlock, began: time.Now(), report: report}, nil
}

// begin opens a session on a lab that exists.
func (l *Lab) begin(ctx context.Context) (*session, error) {
	if _, err := os.Stat(l.paths.state()); err != nil {
		return nil, fmt.Errorf("%w in %s: bring one up first", ErrNoLab, l.paths.dir)
	}
	se, err := newSession(ctx, l.paths.dir, nil)
	if err != nil {
		return nil, err
	}
	if se.state, err = loadState(l.paths.dir); err != nil {
		se.unlock()
		return nil, err
	}
	return se, nil
}

func (se *session) say(part, text string, done bool) {
	se.mu.Lock()
	defer se.mu.Unlock()
	se.report(Progress{Part: part, Text: text, Done: done, Elapsed: time.Since(se.began)})
}

// saySlow announces a part that has to be started.
func (se *session) saySlow(part string) {
	if !se.proc(part).alive() {
		se.say(part, "starting", false)
	}
}

func (se *session) proc(part string) proc {
	se.mu.Lock()
	defer se.mu.Unlock()
	return se.state.Procs[part]
}

func (se *session) record(part string, p proc) error {
	se.mu.Lock()
	defer se.mu.Unlock()
	se.state.Procs[part] = p
	return se.state.save(se.paths.dir)
}

// ensure starts a part unless it runs, and tells whether it did. The last of the
// arguments is what only this part has.
func (se *session) ensure(part, bin string, addrs []string, args ...string) (bool, error) {
	if se.proc(part).alive() {
		return false, nil
	}
	// One that was started right before a crash may run without being recorded.
	for p, owner := range owned(se.state.Mark) {
		if owner == part && strings.Contains(cmdlineOf(p.PID), args[len(args)-1]) {
			return false, se.record(part, p)
		}
	}
	if err := checkFree(part, addrs...); err != nil {
		return false, err
	}
	p, err := start(se.paths, se.state.Mark, part, bin, args...)
	if err != nil {
		return false, err
	}
	return true, se.record(part, p)
}

// gone says why waiting for a part is useless once its process has ended.
func (se *session) gone(part string) func() error {
	p := se.proc(part)
	return func() error {
		if p.alive() {
			return nil
		}
		return fmt.Errorf("%s has ended: %s (all of it in %s)", part, lastLine(se.paths.log(part)), se.paths.log(part))
	}
}

// lastLine gives the end of a log, for an error message.
func lastLine(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return "no log"
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err == nil && info.Size() > 4096 {
		_, _ = f.Seek(-4096, io.SeekEnd)
	}
	text, _ := io.ReadAll(f)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}

// nomad speaks to the first server that runs, with the token from the lab's folder.
func (se *session) nomad() nomadAPI {
	token, _ := os.ReadFile(se.paths.nomadToken())
	at, first := se.state.layout().Servers, 0
	for i := range at {
		if se.proc(serverName(i)).alive() {
			first = i
			break
		}
	}
	return newNomad(at[first].url(), strings.TrimSpace(string(token)))
}

func (se *session) vault() vaultAPI {
	token, _ := os.ReadFile(se.paths.vaultToken())
	return newVault(se.state.layout().vaultURL(), strings.TrimSpace(string(token)))
}

// together runs the functions at once and joins their errors. The first error
// cancels the context of the rest.
func together(ctx context.Context, fns ...func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	errs := make([]error, len(fns))
	var wg sync.WaitGroup
	for i, fn := range fns {
		wg.Go(func() {
			if errs[i] = fn(ctx); errs[i] != nil {
				cancel(errs[i])
			}
		})
	}
	wg.Wait()
	// What was only cancelled because another failed explains nothing.
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return errors.Join(errs...)
}
