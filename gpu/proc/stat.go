package proc

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ticksPerSecond is Linux's unit of times in /proc, on every architecture that
// has NVIDIA GPUs.
const ticksPerSecond = 100

// commandMax bounds a command, in bytes.
const commandMax = 512

func file(root string, pid int, name string) string {
	return filepath.Join(root, strconv.Itoa(pid), name)
}

// stat is what changes of a process, and what tells it from another.
type stat struct {
	parent int
	ticks  uint64 // of processor time, its own and the kernel's for it
	start  uint64 // ticks from the start of the machine to its own
	memory uint64 // resident bytes
}

// readStat reads /proc/PID/stat. The name in parentheses may hold anything, so
// fields are counted from its end.
func readStat(root string, pid int) (stat, error) {
	raw, err := os.ReadFile(file(root, pid, "stat"))
	if err != nil {
		return stat{}, err
	}
	fields := bytes.Fields(raw[bytes.LastIndexByte(raw, ')')+1:])
	const parentAt, userAt, systemAt, startAt, residentAt = 1, 11, 12, 19, 21 // after "PID (name)": state is 0
	if len(fields) <= residentAt {
		return stat{}, fmt.Errorf("process %d: stat is too short", pid)
	}
	number := func(at int) uint64 {
		n, e := strconv.ParseUint(string(fields[at]), 10, 64)
		if e != nil && err == nil {
			err = fmt.Errorf("process %d: stat: %w", pid, e)
		}
		return n
	}
	st := stat{
		parent: int(number(parentAt)), ticks: number(userAt) + number(systemAt), start: number(startAt),
		memory: number(residentAt) * uint64(os.Getpagesize()),
	}
	return st, err
}

func comm(root string, pid int) string {
	raw, _ := os.ReadFile(file(root, pid, "comm"))
	return strings.TrimSpace(string(raw))
}

// uid is the number of the effective user.
func uid(root string, pid int) string {
	raw, _ := os.ReadFile(file(root, pid, "status"))
	for line := range strings.Lines(string(raw)) {
		if ids, ok := strings.CutPrefix(line, "Uid:"); ok {
			if f := strings.Fields(ids); len(f) > 1 {
				return f[1]
			}
		}
	}
	return ""
}

// arguments are those of a process, its program first. One that gives itself a
// title has one argument.
func arguments(root string, pid int) []string {
	raw := readUpTo(file(root, pid, "cmdline"), 64<<10)
	raw = bytes.TrimRight(raw, "\x00")
	if len(raw) == 0 {
		return nil // a thread of the kernel, or one that has ended
	}
	return strings.Split(string(raw), "\x00")
}

// command is one line of at most commandMax bytes: all arguments, or only what
// cannot be a secret.
func command(args []string, all bool) string {
	if !all {
		args = program(args)
	}
	line := strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.Join(args, " "))
	line = strings.TrimSpace(line)
	if len(line) <= commandMax {
		return line
	}
	line = line[:commandMax-len("…")]
	for !utf8.ValidString(line) {
		line = line[:len(line)-1]
	}
	return line + "…"
}

// program is the part of a command that says what runs: the program and, of an
// interpreter, its script or module. Anything behind an option of another
// program may be the option's value, and that a token.
func program(args []string) []string {
	if len(args) == 0 {
		return nil
	}
	name, _, titled := strings.Cut(args[0], " ")
	if titled {
		return []string{name} // a title may repeat arguments
	}
	out := []string{name}
	base := path.Base(name)
	python := strings.HasPrefix(base, "python") || strings.HasPrefix(base, "pypy")
	if !python && base != "bash" && base != "sh" && base != "node" && base != "perl" && base != "ruby" {
		return out
	}
	for i, arg := range args[1:] {
		switch {
		case arg == "-m" && python && i+2 < len(args):
			return append(out, "-m", args[i+2])
		case !strings.HasPrefix(arg, "-"):
			return append(out, arg)
		case !python || len(arg) != 2 || !strings.Contains("bBdEiIOPqsSuvx", arg[1:]):
			return out // an option that may take the next argument
		}
	}
	return out
}
