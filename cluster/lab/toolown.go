package lab

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// fleetTool is stoker's own program for a fleet. It is built from the checkout,
// and anew when its source has changed.
func fleetTool() Tool {
	return Tool{Name: theFleet, Module: ".", Expected: 2 * time.Minute}
}

// FleetTool finds the program of simulated nodes in the cache, or builds it there.
// It is quick once nomad has been built, whose packages it shares.
func FleetTool(ctx context.Context, srcDir, cacheDir string, progress func(Progress)) (string, error) {
	if progress == nil {
		progress = func(Progress) {}
	}
	tool := fleetTool()
	if srcDir == "" {
		return "", errors.New("find the fleet's program: it is built from a checkout of stoker, and this program lies in none")
	}
	mod := filepath.Join(srcDir, tool.Name)
	// What it takes of stoker are the types of GPUs and of the agent's stream.
	root := filepath.Join(srcDir, "..", "..", "..")
	version, err := sourceHash(mod, filepath.Join(root, "gpu"), filepath.Join(root, "gpu", "stream"))
	if err != nil {
		return "", fmt.Errorf("find the fleet's source: %w", err)
	}
	return tool.cached(ctx, mod, filepath.Join(cacheDir, tool.Name+"-"+version), progress)
}

// sourceHash is short, and another one when a Go file in the folders is.
func sourceHash(dirs ...string) (string, error) {
	h := sha256.New()
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return "", err
		}
		for _, e := range entries {
			if !isSource(e) {
				continue
			}
			f, err := os.Open(filepath.Join(dir, e.Name()))
			if err != nil {
				return "", err
			}
			fmt.Fprintln(h, e.Name())
			_, err = io.Copy(h, f)
			if err := errors.Join(err, f.Close()); err != nil {
				return "", err
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:6]), nil
}

func isSource(e fs.DirEntry) bool {
	ext := filepath.Ext(e.Name())
	return e.Type().IsRegular() && !strings.HasSuffix(e.Name(), "_test.go") && slices.Contains([]string{".go", ".mod", ".sum"}, ext)
}
