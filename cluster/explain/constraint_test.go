package explain

import (
	"testing"

	"stoker/cluster"
	"stoker/gpu"
)

func aNode() *cluster.Node {
	return &cluster.Node{
		ID: "n1", Name: "gpu-a", Datacenter: "dc1", Class: "dgx", Pool: "train",
		Detail: &cluster.NodeDetail{
			Attributes: map[string]string{
				"kernel.name": "linux", "nomad.version": "1.11.3", "cpu.numcores": "64", "cpu.load": "0.5", "driver.docker.version": "27.1.0-rc.2",
				"sets": "a, b,c", "empty": "", "os.version": "12",
			},
			Meta: map[string]string{"rack": "r7", "zone": "b"},
		},
	}
}

// TestNodeConstraints has the operators as Nomad's documentation of the
// constraint block describes them, and their corners as its scheduler treats
// them: a target that is not there is met by != and is_not_set only.
func TestNodeConstraints(t *testing.T) {
	for _, tc := range []struct {
		left, operator, right string
		want                  answer
	}{
		{"${attr.kernel.name}", "=", "linux", yes},
		{"${attr.kernel.name}", "==", "linux", yes},
		{"${attr.kernel.name}", "is", "linux", yes},
		{"${attr.kernel.name}", "=", "windows", no},
		{"${attr.kernel.name}", "!=", "windows", yes},
		{"${attr.kernel.name}", "not", "linux", no},
		{"${attr.not.there}", "=", "", no},
		{"${attr.not.there}", "!=", "linux", yes},
		{"${attr.not.there}", "!=", "", no}, // nothing and the empty text are alike here
		{"${attr.not.there}", "!=", "${attr.neither}", no},
		{"linux", "=", "${attr.kernel.name}", yes}, // either side may be the node's

		{"${node.datacenter}", "=", "dc1", yes},
		{"${node.unique.id}", "=", "n1", yes},
		{"${node.unique.name}", "=", "gpu-a", yes},
		{"${node.class}", "=", "dgx", yes},
		{"${node.pool}", "=", "train", yes},
		{"${meta.rack}", "=", "r7", yes},
		{"${node.unknown}", "is_set", "", no},
		{"${unclosed", "=", "${unclosed", no},

		{"${attr.cpu.numcores}", ">=", "64", yes},
		{"${attr.cpu.numcores}", ">", "9", yes}, // as numbers: as texts "64" is less than "9"
		{"${attr.cpu.numcores}", "<", "9", no},
		{"${attr.cpu.load}", "<=", "0.50", yes},
		{"${attr.cpu.load}", "<", "1", yes},
		{"${meta.rack}", "<", "r70", yes}, // as texts
		{"${meta.rack}", ">", "r10", yes},
		{"${attr.not.there}", "<", "9", no},

		{"${attr.nomad.version}", "version", ">= 1.10, < 2", yes},
		{"${attr.nomad.version}", "version", "~> 1.11.0", yes},
		{"${attr.nomad.version}", "version", "~> 1.10.0", no},
		{"${attr.nomad.version}", "version", "no version", no},
		{"${attr.kernel.name}", "version", ">= 1", no},
		{"${attr.driver.docker.version}", "version", ">= 26", no}, // a pre-release needs one that is named
		{"${attr.driver.docker.version}", "semver", ">= 26.0.0", yes},
		{"${attr.driver.docker.version}", "semver", ">= 27.1.0", no}, // it comes before the release
		{"${attr.driver.docker.version}", "semver", ">= 27.1.0-rc.1, != 27.1.0-rc.3", yes},
		{"${attr.nomad.version}", "semver", ">= 1.10", yes},
		{"${attr.nomad.version}", "semver", "~> 1.11.0", no}, // it has no ~>
		{"${attr.nomad.version}", "semver", "<> 1.11.0", no},
		{"${attr.nomad.version}", "semver", "", no},
		{"${attr.os.version}", "version", "= 12", yes},

		{"${attr.kernel.name}", "regexp", "^lin", yes},
		{"${attr.kernel.name}", "regexp", "[", no},
		{"${attr.not.there}", "regexp", ".*", no},
		{"${attr.sets}", "set_contains", "c,a", yes},
		{"${attr.sets}", "set_contains_all", "a,d", no},
		{"${attr.sets}", "set_contains_any", "d, b", yes},
		{"${attr.sets}", "set_contains_any", "d", no},
		{"${attr.not.there}", "set_contains_any", "", no},
		{"${attr.empty}", "is_set", "", yes},
		{"${attr.not.there}", "is_set", "", no},
		{"${attr.not.there}", "is_not_set", "", yes},
		{"${meta.rack}", "is_not_set", "", no},

		{"", "distinct_hosts", "true", yes}, // answered elsewhere
		{"${meta.rack}", "distinct_property", "2", yes},
		{"${meta.rack}", "unheard_of", "r7", no},
	} {
		c := cluster.Constraint{Left: tc.left, Operator: tc.operator, Right: tc.right}
		check := newChecker()
		for range 2 { // the second time from what was compiled
			if got := check.node(c, aNode()); got != tc.want {
				t.Errorf("%s: %d, want %d", c, got, tc.want)
			}
		}
	}
}

// TestUnreadNode: what was not read is not guessed, and what a list tells is known.
func TestUnreadNode(t *testing.T) {
	n := aNode()
	n.Detail = nil
	for c, want := range map[cluster.Constraint]answer{
		{Left: "${attr.kernel.name}", Operator: "=", Right: "linux"}: unread,
		{Left: "${meta.rack}", Operator: "is_not_set"}:               unread,
		{Left: "x", Operator: "=", Right: "${meta.rack}"}:            unread,
		{Left: "${node.class}", Operator: "=", Right: "dgx"}:         yes,
		{Left: "${node.datacenter}", Operator: "=", Right: "dc2"}:    no,
	} {
		if got := newChecker().node(c, n); got != want {
			t.Errorf("%s: %d, want %d", c, got, want)
		}
	}
}

// TestDeviceConstraints: numbers have units, and only values of one kind compare.
func TestDeviceConstraints(t *testing.T) {
	p := &pile{vendor: "nvidia", model: "H100", all: []gpu.UUID{"GPU-1", "GPU-2"}, attributes: map[string]cluster.DeviceAttribute{
		"memory": {Value: "81559 MiB"}, "driver_version": {Value: "580.95.05", Text: true}, "short_version": {Value: "580.95", Text: true},
		"power": {Value: "700 W"}, "pci_bandwidth": {Value: "31 GB/s"}, "cores_clock": {Value: "1980 MHz"}, "display_state": {Value: "false"}, "bars": {Value: "3"},
	}}
	for _, tc := range []struct {
		left, operator, right string
		want                  bool
	}{
		{"${device.attr.memory}", ">=", "40 GiB", true},
		{"${device.attr.memory}", ">=", "80GB", true}, // 85.5 of them
		{"${device.attr.memory}", ">=", "80 GiB", false},
		{"${device.attr.memory}", "=", "81559 MiB", true},
		{"${device.attr.memory}", ">", "1", false}, // no unit: not of one kind
		{"${device.attr.memory}", "!=", "1", false},
		{"${device.attr.memory}", "<", "1 kW", false},
		{"${device.attr.power}", "<=", "0.75 kW", true},
		{"${device.attr.power}", "<=", "0.7 kW", false}, // in binary 0.7 is a little less, to Nomad as well
		{"${device.attr.power}", ">", "699999 mW", true},
		{"${device.attr.pci_bandwidth}", ">", "30000 MB/s", true},
		{"${device.attr.cores_clock}", "<", "2 GHz", true},
		{"${device.attr.bars}", ">", "2.5", true},
		{"${device.attr.display_state}", "=", "false", true},
		{"${device.attr.display_state}", "=", "true", false},
		{"${device.attr.display_state}", "<", "true", false},
		{"${device.attr.driver_version}", "version", ">= 550", true},
		{"${device.attr.short_version}", "version", "< 600", true},
		{"${device.attr.short_version}", ">", "550", false}, // a text and a number
		{"${device.attr.short_version}", "regexp", "^580", true},
		{"${device.attr.memory}", "regexp", "8", false},
		{"${device.attr.bars}", "version", "= 3", true},
		{"${device.attr.bars}", "version", "3", false}, // a literal that is a number is no text
		{"${device.model}", "=", "H100", true},
		{"${device.model}", "set_contains_any", "A100,H100", true},
		{"${device.vendor}", "=", "nvidia", true},
		{"${device.type}", "=", "gpu", true},
		{"${device.ids}", "set_contains", "GPU-2", true},
		{"${device.ids}", "set_contains", "GPU-3", false},
		{"${device.attr.none}", "is_not_set", "", true},
		{"${device.attr.none}", "!=", "3", true},
		{"${device.attr.none}", "!=", "${device.attr.neither}", false},
		{"${device.attr.none}", "=", "3", false},
		{"${device.what}", "is_set", "", false},
	} {
		got := newChecker().holdsOfDevice(tc.operator, deviceTarget(tc.left, p), deviceTarget(tc.right, p))
		if got != tc.want {
			t.Errorf("%s %s %s: %t, want %t", tc.left, tc.operator, tc.right, got, tc.want)
		}
	}
}

func TestGlob(t *testing.T) {
	for _, tc := range []struct {
		pattern, text string
		want          bool
	}{
		{"dc1", "dc1", true},
		{"dc1", "dc2", false},
		{"*", "", true},
		{"*", "dc1", true},
		{"dc*", "dc1", true},
		{"dc*", "xdc", false},
		{"*-gpu", "eu-gpu", true},
		{"eu-*-gpu", "eu-1-gpu", true},
		{"eu-*-gpu", "eu-gpu", false},
		{"a*b*c", "a-b-c", true},
		{"a*b*c", "a-c", false},
		{"", "dc1", false},
	} {
		if got := glob(tc.pattern, tc.text); got != tc.want {
			t.Errorf("%q matches %q: %t", tc.pattern, tc.text, got)
		}
	}
}

func TestReservedPorts(t *testing.T) {
	for port, want := range map[int]bool{22: true, 23: false, 8000: true, 8100: true, 8101: false, 0: false} {
		if got := reserved("22, 8000-8100,x,9-", port); got != want {
			t.Errorf("port %d: %t", port, got)
		}
	}
}
