package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"strconv"
	"strings"
	"time"
)

// fault is one thing that is wrong with the fleet, as the lab speaks of it.
type fault struct {
	Target string `json:"target"` // "gpu-0007" or "gpu-0007/3"
	Kind   string `json:"kind"`
	Xid    uint64 `json:"xid,omitempty"`
}

// The faults of a whole node, by the lab's names.
const (
	faultKill  = "kill"
	faultCrash = "crash"
	faultStop  = "stop"
	faultHang  = "agent-hang"
	faultDown  = "down" // what kill, crash and stop leave
)

// control takes the lab's orders on a unix socket, which only its owner reaches.
func (f *fleet) control(ctx context.Context) error {
	if f.conf.socket == "" {
		return nil
	}
	if err := os.Remove(f.conf.socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	ln, err := net.Listen("unix", f.conf.socket)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { reply(w, f.count()) })
	mux.HandleFunc("POST /work", func(http.ResponseWriter, *http.Request) { f.ordered.Do(func() { close(f.order) }) })
	mux.HandleFunc("GET /faults", func(w http.ResponseWriter, _ *http.Request) { reply(w, f.faults()) })
	mux.HandleFunc("POST /faults", func(w http.ResponseWriter, r *http.Request) {
		var in fault
		err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4096)).Decode(&in)
		if err == nil {
			err = f.inject(in)
		}
		refuse(w, err)
	})
	mux.HandleFunc("DELETE /faults", func(w http.ResponseWriter, r *http.Request) { refuse(w, f.clear(r.URL.Query().Get("target"))) })
	// What a thousand nodes cost: curl --unix-socket fleet.sock http://fleet/profile > cpu
	mux.HandleFunc("GET /profile", pprof.Profile)
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: writeTimeout}
	context.AfterFunc(ctx, func() { _ = srv.Close() })
	go func() { _ = srv.Serve(ln) }()
	return nil
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func refuse(w http.ResponseWriter, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

// find splits a target. The GPU is -1 when it is a whole node.
func (f *fleet) find(target string) (*node, int, error) {
	name, number, isGPU := strings.Cut(target, "/")
	n := f.node(name)
	if n == nil {
		return nil, 0, fmt.Errorf("the fleet has no node %s", name)
	}
	if !isGPU {
		return n, -1, nil
	}
	i, err := strconv.Atoi(number)
	if err != nil || i < 0 || i >= len(n.gpus) {
		return nil, 0, fmt.Errorf("no GPU %s on %s: it has %d", number, name, len(n.gpus))
	}
	return n, i, nil
}

func (f *fleet) inject(in fault) error {
	n, i, err := f.find(in.Target)
	if err != nil {
		return err
	}
	if i >= 0 {
		n.mu.Lock()
		defer n.mu.Unlock()
		return n.gpus[i].inject(in.Kind, in.Xid, time.Now())
	}
	switch in.Kind {
	case faultKill, faultStop:
		n.kill(false)
	case faultCrash:
		n.kill(true)
	case faultHang:
		n.hang(true)
	default:
		return fmt.Errorf("a simulated node cannot suffer %q: kill, crash, stop or agent-hang", in.Kind)
	}
	return nil
}

// clear puts a node or a GPU right.
func (f *fleet) clear(target string) error {
	n, i, err := f.find(target)
	if err != nil {
		return err
	}
	if i >= 0 {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.gpus[i].clear(time.Now())
		return nil
	}
	n.hang(false)
	n.start(f.ended)
	return nil
}

// faults lists what is wrong with the fleet, whoever caused it.
func (f *fleet) faults() []fault {
	list := []fault{}
	for _, n := range f.nodes {
		n.mu.Lock()
		if n.stop == nil {
			list = append(list, fault{Target: n.shape.name, Kind: faultDown})
		}
		if n.hung {
			list = append(list, fault{Target: n.shape.name, Kind: faultHang})
		}
		for i, d := range n.gpus {
			at := fmt.Sprintf("%s/%d", n.shape.name, i)
			for _, x := range d.xids {
				list = append(list, fault{Target: at, Kind: faultXid, Xid: x})
			}
			for _, kind := range []string{faultECC, faultThermal, faultLost} {
				if d.faults[kind] {
					list = append(list, fault{Target: at, Kind: kind})
				}
			}
		}
		n.mu.Unlock()
	}
	return list
}

// hang lets the node's agents stand still, or go on.
func (n *node) hang(still bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.hung = still
	for _, ag := range n.agents {
		ag.pause(still)
	}
}
