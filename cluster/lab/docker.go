package lab

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// allocLabel is what Nomad's docker driver puts on each container.
const allocLabel = "com.hashicorp.nomad.alloc_id"

// engine speaks to the Docker engine of this machine over its unix socket; ok
// is false where none is configured that way.
func engine() (rest, bool) {
	socket := "/var/run/docker.sock"
	if host := os.Getenv("DOCKER_HOST"); host != "" {
		path, isUnix := strings.CutPrefix(host, "unix://")
		if !isUnix {
			return rest{}, false
		}
		socket = path
	}
	return rest{base: "http://docker", client: newUnixClient(socket)}, true
}

func dockerAnswers(ctx context.Context) bool {
	e, ok := engine()
	if !ok {
		return false
	}
	defer e.close()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	var v struct{ Version string }
	return e.get(ctx, "/version", &v) == nil && v.Version != ""
}

// settleDriver decides what the clients offer.
func settleDriver(ctx context.Context, want string) (string, error) {
	switch want {
	case DriverExec, DriverRawExec:
		return want, nil
	}
	if dockerAnswers(ctx) {
		return DriverDocker, nil
	}
	switch {
	case want == DriverDocker:
		return "", errors.New("no docker engine answers at /var/run/docker.sock or DOCKER_HOST: start one, or use another driver")
	case os.Geteuid() != 0:
		return DriverRawExec, nil
	}
	return DriverExec, nil
}

// removeDocker removes what the lab has in the engine: the containers of its
// allocations and its images. When the engine cannot be asked, that is an error:
// the lab's folder is the only record of what there is to remove.
func (se *session) removeDocker(ctx context.Context, allocs map[string]bool) error {
	if !se.state.usedDocker() {
		return nil
	}
	e, ok := engine()
	if !ok {
		return errors.New("DOCKER_HOST names no unix socket, so that containers of the lab may be left: set it as it was when the lab was brought up, and take it down again")
	}
	defer e.close()
	err := e.get(ctx, "/version", nil)
	if err == nil {
		errs := []error{removeContainers(ctx, e, allocs)}
		for _, name := range se.state.Images {
			errs = append(errs, removeImage(ctx, e, name))
		}
		err = errors.Join(errs...)
	} else {
		err = fmt.Errorf("ask the docker engine: %w", err)
	}
	if err != nil {
		return fmt.Errorf("%w; containers or images of the lab may be left: take it down again when the docker engine answers, or delete %s if there is no such engine any more",
			err, se.paths.dir)
	}
	return nil
}

// removeContainers removes those of the given allocations and no others.
func removeContainers(ctx context.Context, e rest, allocs map[string]bool) error {
	if len(allocs) == 0 {
		return nil
	}
	var list []struct {
		ID     string            `json:"Id"`
		Labels map[string]string `json:"Labels"`
	}
	filter := url.QueryEscape(fmt.Sprintf(`{"label":[%q]}`, allocLabel))
	if err := e.get(ctx, "/containers/json?all=1&filters="+filter, &list); err != nil {
		return fmt.Errorf("list containers: %w", err)
	}
	var errs []error
	for _, c := range list {
		if !allocs[c.Labels[allocLabel]] {
			continue
		}
		err := e.do(ctx, http.MethodDelete, "/containers/"+c.ID+"?force=1&v=1", nil, nil)
		if err != nil && statusOf(err) != http.StatusNotFound {
			errs = append(errs, fmt.Errorf("remove container %.12s: %w", c.ID, err))
		}
	}
	return errors.Join(errs...)
}
