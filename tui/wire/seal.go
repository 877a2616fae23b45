package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"stoker/cluster"
	"stoker/cluster/contexts"
	"stoker/cluster/nomad"
	"stoker/jobs/action"
	"stoker/jobs/registry"
	"stoker/secrets"
	"stoker/secrets/seal"
	"stoker/secrets/vault"
	"stoker/tui/cli"
	"stoker/tui/ui"
)

// sealKit is what seal, open and verify share: the flags that say where.
type sealKit struct {
	sys      contexts.System
	app      *cli.App
	redactor *secrets.Redactor

	context  string
	readOnly bool
	models   string
	task     task
	audit    *action.Audit // nil: what a task does stands in Vault's and Nomad's own records
	// requestID is Vault's name for its last answer, for the audit line.
	requestID string
}

// task is the allocation that this process runs in, if it does: its token comes
// from its own identity and not from a person's.
type task struct{ secrets, job, namespace string }

func newSealKit(sys contexts.System, app *cli.App, redactor *secrets.Redactor) *sealKit {
	return &sealKit{sys: sys, app: app, redactor: redactor, task: task{
		secrets: sys.Getenv("NOMAD_SECRETS_DIR"), job: sys.Getenv("NOMAD_JOB_ID"), namespace: sys.Getenv("NOMAD_NAMESPACE"),
	}}
}

func (k *sealKit) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&k.models, "models", "", "folder of the models volume: an artifact is at NAME/VERSION in it (required)")
	_ = cmd.MarkFlagRequired("models")
	cmd.PreRun = func(cmd *cobra.Command, _ []string) {
		k.context, _ = cmd.Flags().GetString("context")
		k.readOnly, _ = cmd.Flags().GetBool("read-only")
	}
}

// vault opens Vault as the task that this is, or as the person who calls.
func (k *sealKit) vault() (*vault.Client, error) {
	if k.task.secrets != "" && k.context == "" {
		path := filepath.Join(k.task.secrets, "vault_token")
		return vault.Open(vault.Config{
			Address: k.sys.Getenv("VAULT_ADDR"), CACert: k.sys.Getenv("VAULT_CACERT"), Namespace: k.sys.Getenv("VAULT_NAMESPACE"),
			Token: k.redactor.Watch(func(context.Context) (secrets.Secret, error) {
				raw, err := os.ReadFile(path) //nolint:gosec // Nomad wrote it for this task
				if err != nil {
					return secrets.Secret{}, fmt.Errorf("the task has no Vault token (does it have a vault block?): %w", err)
				}
				return secrets.FromBytes([]byte(strings.TrimSpace(string(raw)))), nil
			}),
		})
	}
	c, err := contexts.Resolve(k.sys, k.context)
	if err != nil {
		return nil, err
	}
	vc, err := OpenVault(c, k.redactor, func(call vault.Call) { k.requestID = call.RequestID })
	if err == nil && vc == nil {
		err = &cluster.Fault{Kind: cluster.ErrUnreachable, Text: "no Vault is configured", Advice: "set VAULT_ADDR or name it in the context"}
	}
	return vc, err
}

// registry is where versions are registered: through the task API inside an
// allocation, through the context's Nomad otherwise.
func (k *sealKit) registry() (registry.Writer, error) {
	if k.task.secrets != "" && k.context == "" {
		return registry.NewTaskAPI(k.sys.Getenv)
	}
	return k.nomad()
}

func (k *sealKit) nomad() (*nomad.Client, error) {
	c, err := contexts.Resolve(k.sys, k.context)
	if err != nil {
		return nil, err
	}
	return OpenNomad(cluster.Place{Cluster: c.Name}, c, k.redactor)
}

// allowed refuses what changes artifacts or the registry in read-only mode, or
// where it could not be noted. A task has neither: its rights are its identity's.
func (k *sealKit) allowed(what string) error {
	if k.task.secrets != "" && k.context == "" {
		return nil
	}
	c, err := contexts.Resolve(k.sys, k.context)
	if err != nil {
		return err
	}
	if k.readOnly || c.ReadOnly {
		return &cluster.Fault{Kind: cluster.ErrDenied, Text: what + ": " + action.ErrReadOnly.Error(), Err: action.ErrReadOnly}
	}
	k.audit = auditFile(k.sys, c.Name, k.redactor)
	if err := k.audit.Ready(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func (k *sealKit) artifact(urn secrets.URN) string {
	return filepath.Join(k.models, urn.Name(), urn.Version())
}

func (k *sealKit) sealCommand() *cobra.Command {
	var listen, key, from string
	var register, replace bool
	cmd := &cobra.Command{
		Use:   "seal URN [--from DIR | --listen unix:SOCKET]",
		Short: "Encrypt a model under a Vault key and write it to the models volume",
		Long: `Encrypt a model under a data key from Vault and write it to the models volume.

The model is a folder (--from), or comes as a tar stream over a unix socket from a
training task of the same allocation (--listen), so that plaintext is in memory only.
Inside an allocation the task's own Vault token is used, and --register writes the
version to the registry through Nomad's task API.`,
		Example: "  stoker seal urn:stoker:model:digits:v1 --from ./model --key models --models /srv/models --register",
		Args:    oneURN,
		RunE: func(cmd *cobra.Command, args []string) error {
			urn, err := secrets.ParseURN(args[0])
			if err != nil {
				return cli.Usage("%v", err)
			}
			if (listen == "") == (from == "") {
				return cli.Usage("say where the model comes from: --from DIR or --listen unix:SOCKET")
			}
			if info, err := os.Stat(from); from != "" && (err != nil || !info.IsDir()) {
				return cli.Usage("there is no folder %q to seal", from)
			}
			if err := k.allowed("seal"); err != nil {
				return err
			}
			vc, err := k.vault()
			if err != nil {
				return err
			}
			return k.seal(cmd.Context(), vc, sealing{urn, key, from, strings.TrimPrefix(listen, "unix:"), register, replace})
		},
	}
	k.flags(cmd)
	cmd.Flags().StringVar(&listen, "listen", "", "take the model as a tar stream on this unix socket (unix:PATH)")
	cmd.Flags().StringVar(&from, "from", "", "folder that holds the model in plain")
	cmd.Flags().StringVar(&key, "key", "models", "Vault Transit key that wraps the data key")
	cmd.Flags().BoolVar(&register, "register", false, "write the version to the registry")
	cmd.Flags().BoolVar(&replace, "replace", false, "put it in the place of an artifact that is there")
	return cmd
}

type sealing struct {
	urn                 secrets.URN
	key, from, socket   string
	register, overwrite bool
}

// seal seals and registers. The sender of a stream hears "ok" only when both
// are done, so a training job cannot succeed without its model.
func (k *sealKit) seal(ctx context.Context, vc *vault.Client, s sealing) error {
	dst := k.artifact(s.urn)
	if err := os.MkdirAll(filepath.Dir(dst), 0o755); err != nil { //nolint:gosec // ciphertext, read by other users
		return fmt.Errorf("models volume: %w", err)
	}
	opts := seal.Options{Replace: s.overwrite}
	var report evaluation
	finish := func(r seal.Receipt, err error) (seal.Receipt, error) {
		if err == nil && s.register {
			if err = k.register(ctx, r, report); err != nil {
				err = takeBack(dst, s.overwrite, err)
			}
		}
		k.note("seal", s.urn, []string{"key " + s.key, "artifact " + dst}, err)
		return r, err
	}
	var receipt seal.Receipt
	var err error
	if s.socket == "" {
		report.readFile(filepath.Join(s.from, evaluationFile))
		receipt, err = finish(seal.Seal(ctx, os.DirFS(s.from), dst, s.urn, s.key, vc, opts))
	} else {
		receipt, err = k.receive(ctx, vc, s, dst, opts, &report, finish)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(k.app.Out, "sealed %s: %s, %d bytes, key %s version %d, digest %s\n",
		receipt.URN, ui.Count(receipt.Files, "file"), receipt.Bytes, receipt.Key, receipt.KeyVersion, receipt.Digest)
	return nil
}

func (k *sealKit) receive(ctx context.Context, vc *vault.Client, s sealing, dst string, opts seal.Options, report *evaluation, finish func(seal.Receipt, error) (seal.Receipt, error)) (seal.Receipt, error) {
	if err := seal.MayWrite(dst, s.urn, opts); err != nil {
		return seal.Receipt{}, err
	}
	l, err := seal.Listen(s.socket)
	if err != nil {
		return seal.Receipt{}, err
	}
	fmt.Fprintf(k.app.Out, "waiting for the model %s on %s\n", s.urn, s.socket)
	return seal.Serve(ctx, l, func(r io.Reader) (seal.Receipt, error) {
		tap, done := report.tap(r)
		receipt, err := seal.SealTar(ctx, tap, dst, s.urn, s.key, vc, opts)
		done()
		return finish(receipt, err)
	})
}

func (k *sealKit) register(ctx context.Context, r seal.Receipt, report evaluation) error {
	vars, err := k.registry()
	if err != nil {
		return err
	}
	a := cluster.Artifact{
		URN: r.URN, Model: r.URN.Name(), Version: r.URN.Version(), Digest: r.Digest, Key: r.Key, KeyVersion: r.KeyVersion,
		Bytes: r.Bytes, Created: time.Now().UTC(), Evaluation: report.values,
		TrainedBy: cluster.JobID{Namespace: k.task.namespace, Name: k.task.job},
	}
	return whileUnreachable(ctx, registerFor, func() error { return registry.Put(ctx, vars, a) })
}

// registerFor is how long a sealed model waits for the registry: long enough
// for a server to be started again or for another to be elected.
const registerFor = time.Minute

// whileUnreachable tries again while the other side cannot be reached.
func whileUnreachable(ctx context.Context, patience time.Duration, try func() error) error {
	deadline := time.Now().Add(patience)
	for wait := time.Second; ; wait = min(2*wait, 10*time.Second) {
		err := try()
		if err == nil || !errors.Is(err, cluster.ErrUnreachable) || time.Now().Add(wait).After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(wait):
		}
	}
}

// takeBack removes an artifact that could not be registered: nobody could open
// it, and it would be in the way of the next try. One that took the place of
// another stays, since that one is gone.
func takeBack(dst string, replaced bool, err error) error {
	if replaced {
		return fmt.Errorf("sealed, but not registered (run it again with --replace --register): %w", err)
	}
	if rerr := os.RemoveAll(dst); rerr != nil {
		return errors.Join(fmt.Errorf("sealed, but not registered: %w", err), fmt.Errorf("%s is in the way of the next try: %w", dst, rerr))
	}
	return fmt.Errorf("the sealed model could not be registered and was taken back: %w", err)
}

// note writes the audit line of what a person did.
func (k *sealKit) note(verb action.ID, urn secrets.URN, touched []string, err error) {
	e := action.Entry{Action: verb, Target: urn.String(), Touched: touched, VaultRequestID: k.requestID}
	if aerr := errors.Join(k.audit.Note(time.Now(), e, err), k.audit.Close()); aerr != nil {
		fmt.Fprintln(k.app.Err, "stoker: audit file:", aerr)
	}
}

func (k *sealKit) openCommand() *cobra.Command {
	var digest, into string
	cmd := &cobra.Command{
		Use:   "open URN --into DIR [-- COMMAND ARG...]",
		Short: "Decrypt a sealed model into memory, and run a server on it",
		Long: `Decrypt a sealed model into a folder on a memory filesystem, such as a task's
secrets folder. The digest says which artifact it must be; without --digest the
registry is asked. With a command after --, the model is there for as long as the
command runs: signals go to it, and when it ends the plaintext is removed.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if n := cmd.ArgsLenAtDash(); len(args) == 0 || n > 1 || n < 0 && len(args) != 1 || n == 0 {
				return cli.Usage("stoker open takes one URN, and a command only after --")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			urn, err := secrets.ParseURN(args[0])
			if err != nil {
				return cli.Usage("%v", err)
			}
			vc, err := k.vault()
			if err != nil {
				return err
			}
			return k.open(cmd.Context(), vc, urn, digest, into, args[1:])
		},
	}
	k.flags(cmd)
	cmd.Flags().StringVar(&digest, "digest", "", "digest of the manifest, as the registry has it (default: ask the registry)")
	cmd.Flags().StringVar(&into, "into", "", "folder on a memory filesystem, made when missing (required)")
	_ = cmd.MarkFlagRequired("into")
	return cmd
}

func (k *sealKit) open(ctx context.Context, vc *vault.Client, urn secrets.URN, digest, into string, command []string) error {
	if digest == "" {
		var err error
		if digest, err = k.digest(ctx, urn); err != nil {
			return err
		}
	}
	shared := k.ownSecrets(into)
	mode := os.FileMode(0o700)
	if shared {
		mode = 0o755
	}
	if err := os.MkdirAll(into, mode); err != nil {
		return fmt.Errorf("open %s: %w", urn, err)
	}
	receipt, err := seal.Open(ctx, k.artifact(urn), into, urn, digest, vc, seal.Options{Replace: true, Shared: shared})
	if err != nil {
		return err
	}
	fmt.Fprintf(k.app.Err, "opened %s: %s, %d bytes, key %s version %d\n", urn, ui.Count(receipt.Files, "file"), receipt.Bytes, receipt.Key, receipt.KeyVersion)
	if len(command) == 0 {
		return nil
	}
	err = runWith(ctx, command, k.app)
	return errors.Join(err, k.wipe(into))
}

// ownSecrets says that dir is in the secrets folder of the task that this is.
// The allocation's folder around it is closed, and a server that binds it may
// run as another user, so there a model keeps its modes.
func (k *sealKit) ownSecrets(dir string) bool {
	if k.task.secrets == "" {
		return false
	}
	rel, err := filepath.Rel(k.task.secrets, dir)
	return err == nil && filepath.IsLocal(rel)
}

// wipe removes an opened model. A job empties the folder that it names, with
// what its server or trainer left there; a person may have named a wrong one, so
// there only what open put there goes.
func (k *sealKit) wipe(dir string) error {
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		fmt.Fprintf(k.app.Err, "there is no folder %s: nothing to remove\n", ui.Clean(dir)) // the task may run twice
		return nil
	}
	if k.task.secrets != "" {
		return seal.Empty(dir, seal.Options{})
	}
	stays, err := seal.Wipe(dir, seal.Options{})
	if err == nil && len(stays) > 0 {
		fmt.Fprintf(k.app.Err, "left as it is: %s in %s that stoker open did not put there\n", ui.Count(len(stays), "name"), ui.Clean(dir))
	}
	return err
}

func (k *sealKit) digest(ctx context.Context, urn secrets.URN) (string, error) {
	nc, err := k.nomad()
	if err != nil {
		return "", err
	}
	a, err := (&registry.Registry{Vars: nc}).Get(ctx, urn)
	return a.Digest, err
}

// runWith runs a command in this process's place as far as others can tell:
// same streams, signals passed on, its exit code ours.
func runWith(ctx context.Context, command []string, app *cli.App) error {
	// The parent-death signal belongs to the thread that starts the command.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.Command(command[0], command[1:]...) //nolint:gosec // the caller's own command
	cmd.Stdin, cmd.Stdout, cmd.Stderr = app.In, app.Out, app.Err
	// If this process is killed, the server must not go on with a model that
	// nobody would remove.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2)
	defer signal.Stop(signals)
	if ctx.Err() != nil { // the signal to stop came before there was anything to pass it to
		return ctx.Err()
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("run %s: %w", command[0], err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for {
		select {
		case s := <-signals:
			_ = cmd.Process.Signal(s)
		case err := <-done:
			var exit *exec.ExitError
			if errors.As(err, &exit) && exit.ExitCode() > 0 {
				return &childError{exit.ExitCode()}
			}
			if err != nil {
				return fmt.Errorf("%s: %w", command[0], err)
			}
			return nil
		}
	}
}

// childError carries a command's exit code; it has said why itself.
type childError struct{ code int }

func (c *childError) Error() string { return "" }

// ExitCode is the command's own.
func (c *childError) ExitCode() int { return c.code }

func (k *sealKit) wipeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "wipe DIR",
		Short: "Remove an opened model from a memory filesystem",
		Long: `Remove from a memory filesystem what stoker open put there; other files stay, and a
folder into which nothing was opened is refused. Inside an allocation the folder is
emptied, since a job keeps it for its model alone.`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return k.wipe(args[0]) },
	}
}
