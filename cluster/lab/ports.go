package lab

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A lab has a block of ports below the kernel's ephemeral range (32768 and up),
// where an outgoing connection might sit on one: the first hundred for agents,
// the rest shared out among the nodes for their tasks.
const (
	firstPort   = 20000
	blockSize   = 500
	otherBlocks = 24 // blocks for labs that are not the default one
	agentPorts  = 100
	maxNodes    = 10
	serverPort  = 10 // offset of the first server's ports
	clientPort  = 30 // offset of the first client's ports
)

// agentAddr is where one Nomad agent listens.
type agentAddr struct {
	IP              string
	HTTP, RPC, Serf int
	// MinTask and MaxTask bound the ports that a client gives to tasks. All
	// tasks of all clients share 127.0.0.1, since that is the address of lo,
	// so the ranges are disjoint.
	MinTask, MaxTask int
}

func (a agentAddr) url() string { return "http://" + a.addr(a.HTTP) }

func (a agentAddr) addr(port int) string { return net.JoinHostPort(a.IP, strconv.Itoa(port)) }

// layout is every address of a lab, a pure function of its name and shape.
type layout struct {
	Vault, VaultCluster string // host:port
	Servers             []agentAddr
	Clients             []agentAddr
	Fleet               string // the first two numbers of the simulated nodes' addresses
}

func (l layout) vaultURL() string { return "http://" + l.Vault }

// basePort gives the default lab the first block and every other name one of
// the rest. Two names may fall on one block; the port check then says so.
func basePort(name string) int {
	if name == DefaultName {
		return firstPort
	}
	h := fnv.New32a()
	h.Write([]byte(name))
	return firstPort + blockSize*(1+int(h.Sum32()%otherBlocks))
}

func newLayout(name string, servers, nodes int) layout {
	base := basePort(name)
	l := layout{
		Vault:        net.JoinHostPort("127.0.0.1", strconv.Itoa(base)),
		VaultCluster: net.JoinHostPort("127.0.0.1", strconv.Itoa(base+1)),
		Fleet:        fmt.Sprintf("127.%d", 64+(base-firstPort)/blockSize),
	}
	for i := range servers {
		p := base + serverPort + 3*i
		l.Servers = append(l.Servers, agentAddr{IP: "127.0.0.1", HTTP: p, RPC: p + 1, Serf: p + 2})
	}
	// A share for maxNodes whatever the number of nodes, so that adding a node
	// does not move the others.
	const share = (blockSize - agentPorts) / maxNodes
	for i := range nodes {
		p := base + clientPort + 3*i
		low := base + agentPorts + share*i
		l.Clients = append(l.Clients, agentAddr{
			IP: fmt.Sprintf("127.0.0.%d", 11+i), HTTP: p, RPC: p + 1, Serf: p + 2,
			MinTask: low, MaxTask: low + share - 1,
		})
	}
	return l
}

// checkFree reports every address of the list on which something listens.
func checkFree(part string, addrs ...string) error {
	var errs []error
	for _, addr := range addrs {
		owner, err := tryListen(addr)
		// The kernel closes the sockets of a killed process a moment later.
		for range 20 {
			if err == nil || owner != "" {
				break
			}
			time.Sleep(50 * time.Millisecond)
			owner, err = tryListen(addr)
		}
		if err == nil {
			continue
		}
		if owner == "" {
			owner = "another process"
		}
		errs = append(errs, fmt.Errorf("%s needs %s, which %s holds (%w): stop it, or give this lab another --name", part, addr, owner, err))
	}
	return errors.Join(errs...)
}

// tryListen gives the owner of a taken address, if this user may know it.
func tryListen(addr string) (owner string, err error) {
	ln, err := net.Listen("tcp", addr)
	if err == nil {
		return "", ln.Close()
	}
	if ap, perr := netip.ParseAddrPort(addr); perr == nil {
		owner = listener(ap)
	}
	return owner, err
}

// listener names the process that listens on addr, as far as this user may see.
func listener(addr netip.AddrPort) string {
	inode := listenInode("/proc/net/tcp", addr)
	if inode == "" {
		inode = listenInode("/proc/net/tcp6", addr)
	}
	if inode == "" {
		return ""
	}
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && to == "socket:["+inode+"]" {
			pid := strings.Split(link, "/")[2]
			comm, _ := os.ReadFile(filepath.Join("/proc", pid, "comm"))
			who := fmt.Sprintf("%s (pid %s)", strings.TrimSpace(string(comm)), pid)
			env, _ := os.ReadFile(filepath.Join("/proc", pid, "environ"))
			// What a lab starts works in the lab's folder.
			if home, err := os.Readlink(filepath.Join("/proc", pid, "cwd")); err == nil && bytes.Contains(env, []byte(markVar+"=")) {
				who += " of the lab in " + home
			}
			return who
		}
	}
	return ""
}

// listenInode finds the socket in state LISTEN (0A) that is in the way of one at
// addr: on the same port of the same address, or of all addresses.
func listenInode(table string, addr netip.AddrPort) string {
	text, err := os.ReadFile(table)
	if err != nil {
		return ""
	}
	// The kernel writes an IPv4 address as one number in its own order of bytes.
	ip := addr.Addr().As4()
	same := fmt.Sprintf("%08X:%04X", binary.NativeEndian.Uint32(ip[:]), addr.Port())
	port := fmt.Sprintf(":%04X", addr.Port())
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) <= 9 || f[3] != "0A" {
			continue
		}
		if at, ok := strings.CutSuffix(f[1], port); ok && (f[1] == same || strings.Trim(at, "0") == "") {
			return f[9]
		}
	}
	return ""
}
