package lab

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// Image is a container image FROM scratch: nothing but the given files. It is
// made once and found by its name, so the tag must change with the content.
type Image struct {
	Name  string            // repository:tag
	Files map[string]string // path on this machine -> path in the image
}

// imageTimeout is how long an engine may take to unpack some tens of megabytes.
const imageTimeout = 2 * time.Minute

// ensureImage gives the engine the image unless it has it.
func ensureImage(ctx context.Context, img Image) error {
	e, ok := engine()
	if !ok {
		return errors.New("make the lab's image: no docker engine on a unix socket")
	}
	defer e.close()
	err := e.get(ctx, "/images/"+img.Name+"/json", nil)
	if err == nil || statusOf(err) != http.StatusNotFound {
		return err
	}
	repo, tag, _ := strings.Cut(img.Name, ":")
	ctx, cancel := context.WithTimeout(ctx, imageTimeout)
	defer cancel()
	body, out := io.Pipe()
	go func() { out.CloseWithError(imageTar(out, img)) }()
	q := url.Values{"fromSrc": {"-"}, "repo": {repo}, "tag": {tag}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.base+"/images/create?"+q.Encode(), body)
	if err != nil {
		return err
	}
	resp, err := e.client.Do(req)
	if err != nil {
		return fmt.Errorf("make image %s: %w", img.Name, err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode/100 != 2 || strings.Contains(string(text), `"error"`)) {
		err = errors.New(strings.TrimSpace(string(text)))
	}
	if err != nil {
		return fmt.Errorf("make image %s: %w", img.Name, err)
	}
	return nil
}

// imageTar writes the files, and the folders above them, as a root filesystem.
func imageTar(w io.Writer, img Image) error {
	tw := tar.NewWriter(w)
	made := map[string]bool{".": true, "/": true}
	for from, to := range img.Files {
		var dirs []string
		for dir := path.Dir(to); !made[dir]; dir = path.Dir(dir) {
			made[dir] = true
			dirs = append([]string{dir}, dirs...)
		}
		for _, dir := range dirs {
			if err := tw.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir[1:] + "/", Mode: 0o755}); err != nil {
				return err
			}
		}
		if err := addFile(tw, from, to); err != nil {
			return err
		}
	}
	return tw.Close()
}

func addFile(tw *tar.Writer, from, to string) error {
	f, err := os.Open(filepath.Clean(from))
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := tw.WriteHeader(&tar.Header{Name: to[1:], Mode: 0o755, Size: info.Size()}); err != nil {
		return err
	}
	_, err = io.Copy(tw, f)
	return err
}

// removeImage forgets an image of the lab; another lab may still use it, and then
// the engine keeps it.
func removeImage(ctx context.Context, e rest, name string) error {
	err := e.do(ctx, http.MethodDelete, "/images/"+name, nil, nil)
	if code := statusOf(err); err == nil || code == http.StatusNotFound || code == http.StatusConflict {
		return nil
	}
	return fmt.Errorf("remove image %s: %w", name, err)
}
