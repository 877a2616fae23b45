package lab

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestFleetNames(t *testing.T) {
	f := Fleet{Nodes: 1000}
	for name, want := range map[string]bool{
		"gpu-0001": true, "gpu-1000": true, "gpu-1001": false, "gpu-0000": false, "gpu-1": false, "gpu-a": false, "gpu-+001": false, "": false,
	} {
		if got := f.has(name); got != want {
			t.Errorf("%q is of a fleet of 1000: %v", name, got)
		}
	}
	if (Fleet{}).has("gpu-0001") {
		t.Error("no fleet has a node")
	}
}

// What a fleet needs of the servers: a node of a large one beats seldom, and an
// election must not make it look dead.
func TestFleetServers(t *testing.T) {
	p, s := paths{"/lab"}, newState(Spec{Name: "x", Servers: 1, Nodes: DefaultNodes()}, time.Time{})
	for nodes, want := range map[int]string{0: `"20s"`, 100: `"20s"`, 1000: `"1m0s"`, 3000: `"3m0s"`} {
		text, err := renderServer(p, s.layout(), 0, Fleet{Nodes: nodes})
		if err != nil {
			t.Fatal(err)
		}
		if line := "failover_heartbeat_ttl = " + want; !strings.Contains(string(text), line) {
			t.Errorf("%d nodes: no %s in\n%s", nodes, line, text)
		}
	}
}

func TestFleetStays(t *testing.T) {
	s := newState(Spec{Name: "x", Servers: 1, Nodes: DefaultNodes()}, time.Time{})
	spec := func(f Fleet) Spec { return Spec{Name: "x", Fleet: f} }
	got, err := reconcile(spec(Fleet{Nodes: 10}), s)
	if err != nil || got.Fleet.Nodes != 10 {
		t.Fatalf("a lab without a fleet gets one: %v, %v", got.Fleet, err)
	}
	s.Fleet = Fleet{Nodes: 10, Churn: 2}
	if got, err = reconcile(spec(Fleet{}), s); err != nil || got.Fleet != s.Fleet {
		t.Errorf("a fleet that is not spoken of stays: %v, %v", got.Fleet, err)
	}
	if got, err = reconcile(spec(Fleet{Churn: 5}), s); err != nil || got.Fleet != (Fleet{Nodes: 10, Churn: 5}) {
		t.Errorf("its churn can be changed: %v, %v", got.Fleet, err)
	}
	if _, err = reconcile(spec(Fleet{Nodes: 20}), s); err == nil {
		t.Error("its size can be changed")
	}
}

// The fleet's program is built anew when its source changes, and only then.
func TestSourceHash(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	hash := func() string {
		h, err := sourceHash(dir)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	write("a.go", "package a")
	write("go.mod", "module a")
	first := hash()
	write("a_test.go", "package a")
	write("notes.txt", "x")
	if hash() != first {
		t.Error("a test is source")
	}
	write("go.mod", "module b")
	if hash() == first {
		t.Error("go.mod is no source")
	}
}

// The holder of a port is who listens on that address, and not who listens on the
// same port of another: each node of a fleet has an address of its own.
func TestListenerOfAnAddress(t *testing.T) {
	a, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	port := a.Addr().(*net.TCPAddr).Port
	other := netip.AddrPortFrom(netip.MustParseAddr("127.64.3.2"), uint16(port))
	if got := listener(other); got != "" {
		t.Errorf("%s is held by %s, which listens on %s", other, got, a.Addr())
	}
	if got := listener(netip.MustParseAddrPort(a.Addr().String())); !strings.Contains(got, fmt.Sprint(os.Getpid())) {
		t.Errorf("%s is held by %q", a.Addr(), got)
	}
	all, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer all.Close()
	everywhere := netip.AddrPortFrom(netip.MustParseAddr("127.64.3.2"), uint16(all.Addr().(*net.TCPAddr).Port))
	if got := listener(everywhere); got == "" {
		t.Errorf("%s is free, though somebody listens on all addresses", everywhere)
	}
}
