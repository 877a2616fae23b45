package wire

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"stoker/cluster"
	"stoker/jobs/registry"
	"stoker/secrets"
	"stoker/secrets/seal"
	"stoker/tui/cli"
	"stoker/tui/ui"
)

// rewrapCommand moves an artifact to the newest version of its key: the data
// key is wrapped anew by Vault, and neither it nor the model is seen here.
func (k *sealKit) rewrapCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "rewrap URN", Short: "Wrap an artifact's data key under the newest version of its Vault key",
		Args: oneURN,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := k.allowed("rewrap"); err != nil {
				return err
			}
			return k.withArtifact(cmd.Context(), args[0], func(ctx context.Context, a cluster.Artifact, vars registry.Writer) error {
				vc, err := k.vault()
				if err != nil {
					return err
				}
				r, err := seal.Rewrap(ctx, k.artifact(a.URN), a.URN, a.Digest, vc)
				if err == nil && r.KeyVersion != a.KeyVersion {
					a.KeyVersion = r.KeyVersion
					err = registry.Put(ctx, vars, a)
				}
				k.note("rewrap", a.URN, []string{"key " + a.Key, "artifact " + k.artifact(a.URN)}, err)
				if err != nil {
					return err
				}
				fmt.Fprintf(k.app.Out, "rewrapped %s: key %s version %d, digest unchanged\n", r.URN, r.Key, r.KeyVersion)
				return nil
			})
		},
	}
	k.flags(cmd)
	return cmd
}

// verifyCommand checks an artifact against the registry; with --deep Vault
// opens its key and every byte is checked, in memory.
func (k *sealKit) verifyCommand() *cobra.Command {
	var deep bool
	cmd := &cobra.Command{
		Use: "verify URN", Short: "Check a sealed artifact against the registry",
		Args: oneURN,
		RunE: func(cmd *cobra.Command, args []string) error {
			return k.withArtifact(cmd.Context(), args[0], func(ctx context.Context, a cluster.Artifact, _ registry.Writer) error {
				var opener seal.Unwrapper
				if deep {
					vc, err := k.vault()
					if err != nil {
						return err
					}
					opener = vc
				}
				r, err := seal.Verify(ctx, k.artifact(a.URN), a.URN, a.Digest, opener, seal.Options{Deep: deep})
				if err != nil {
					return err
				}
				fmt.Fprintf(k.app.Out, "%s is what the registry says: %s, %d bytes, key %s version %d\n", r.URN, ui.Count(r.Files, "file"), r.Bytes, r.Key, r.KeyVersion)
				return nil
			})
		},
	}
	k.flags(cmd)
	cmd.Flags().BoolVar(&deep, "deep", false, "also open every segment in memory, which needs the right to the key")
	return cmd
}

func oneURN(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return cli.Usage("%s takes one URN, such as urn:stoker:model:digits:v1", cmd.CommandPath())
	}
	return nil
}

// withArtifact looks a URN up in the registry.
func (k *sealKit) withArtifact(ctx context.Context, text string, do func(context.Context, cluster.Artifact, registry.Writer) error) error {
	urn, err := secrets.ParseURN(text)
	if err != nil {
		return cli.Usage("%v", err)
	}
	nc, err := k.nomad()
	if err != nil {
		return err
	}
	a, err := (&registry.Registry{Vars: nc}).Get(ctx, urn)
	if err != nil {
		return err
	}
	return do(ctx, a, nc)
}
