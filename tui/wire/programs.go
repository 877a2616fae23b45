package wire

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"stoker/cluster"
	"stoker/cluster/lab"
)

// Where tasks of the exec and docker drivers find the programs.
const (
	taskStoker   = "/usr/local/bin/stoker"
	taskWorkload = "/usr/local/bin/workload"
	labImage     = "stoker-lab"
)

// programs are the files that a lab needs, as make build leaves them beside stoker.
type programs struct {
	stoker   string // this program: the agent, which needs NVML
	static   string // stoker without cgo: runs in a chroot and FROM scratch
	workload string // the reference workload
	plugin   string // the device plugin
	tools    string // cluster/lab/tools of the checkout, "" when there is none
}

// findPrograms looks beside the running program, and for the tools' modules in
// the checkout that it lies in.
func findPrograms() (programs, error) {
	self, err := os.Executable()
	if err != nil {
		return programs{}, err
	}
	if self, err = filepath.EvalSymlinks(self); err != nil {
		return programs{}, err
	}
	dir := filepath.Dir(self)
	p := programs{
		stoker: self, static: filepath.Join(dir, "stoker-static"), workload: filepath.Join(dir, "workload"),
		plugin: filepath.Join(dir, "stoker-device-gpu"),
	}
	for _, path := range []string{p.static, p.workload, p.plugin} {
		if _, err := os.Stat(path); err != nil {
			return programs{}, &cluster.Fault{Kind: cluster.ErrNotFound, Err: err, Text: "the lab needs " + path + ", which is not there", Advice: "run make build in a checkout of stoker"}
		}
	}
	if tools := filepath.Join(filepath.Dir(dir), "cluster", "lab", "tools"); isDir(tools) {
		p.tools = tools
	}
	return p, nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// packVars are what the packs must know of a lab.
func (p programs) packVars(driver, vaultAddr string) map[string]string {
	vars := map[string]string{
		"driver": driver, "vault_addr": vaultAddr,
		"stoker_binary": taskStoker, "workload_binary": taskWorkload,
		"binary": p.stoker, "wipe_driver": lab.DriverRawExec, "wipe_binary": p.static,
	}
	switch driver {
	case lab.DriverRawExec:
		vars["stoker_binary"], vars["workload_binary"] = p.static, p.workload
	case lab.DriverDocker:
		if img, err := p.image(); err == nil {
			vars["image"] = img.Name
		}
	}
	return vars
}

// image is a container image FROM scratch with both programs. Its tag is their
// content, so that a changed program is a new image.
func (p programs) image() (lab.Image, error) {
	h := sha256.New()
	files := map[string]string{p.static: taskStoker, p.workload: taskWorkload}
	for _, path := range []string{p.static, p.workload} {
		f, err := os.Open(path) //nolint:gosec // our own programs
		if err != nil {
			return lab.Image{}, err
		}
		_, err = io.Copy(h, f)
		_ = f.Close()
		if err != nil {
			return lab.Image{}, err
		}
	}
	return lab.Image{Name: fmt.Sprintf("%s:%s", labImage, hex.EncodeToString(h.Sum(nil))[:12]), Files: files}, nil
}
