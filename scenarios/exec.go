package scenarios

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Command is a program to run.
type Command struct {
	Path           string
	Args           []string
	Stdout, Stderr io.Writer
}

// Exec runs a program to its end; when ctx ends it stops the program.
type Exec func(ctx context.Context, c Command) error

// killAfter is how long a program that was asked to end may take.
const killAfter = 5 * time.Second

// ExecProcess runs the program as a process, in a group of its own: an
// interrupt from the terminal reaches the scenario, which ends the program.
func ExecProcess(ctx context.Context, c Command) error {
	cmd := exec.CommandContext(ctx, c.Path, c.Args...) //nolint:gosec // the scenario's own program
	cmd.Stdout, cmd.Stderr = c.Stdout, c.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = killAfter
	err := cmd.Run()
	if ctx.Err() != nil && cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what it may have started
	}
	return err
}

// program finds a step's program before anything is changed.
func (r *run) program(st *Step) error {
	name, ok := st.command[0].static()
	if !ok {
		return fmt.Errorf("step %q: the program's name must be plain text", st.Name)
	}
	path := r.env.Programs[name]
	if path == "" {
		var err error
		if path, err = exec.LookPath(name); err != nil {
			return fmt.Errorf("step %q needs the program %s, which is not there: %w", st.Name, name, err)
		}
	}
	r.paths[name] = path
	return nil
}

// execute runs a program. Its last line of output is its result.
func (r *run) execute(ctx context.Context, st *Step) error {
	args := make([]string, len(st.command))
	err := r.known(ctx, func(w *sight) (err error) {
		for i, t := range st.command {
			if args[i], err = t.render(w); err != nil {
				return fmt.Errorf("command: %w", err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, st.limit)
	defer cancel()
	out := &lines{keep: 1}
	said := &lines{keep: 5, each: func(l string) { r.emit(Event{Kind: Progress, Text: clean(l)}) }}
	err = r.env.Exec(limited, Command{Path: r.paths[args[0]], Args: args[1:], Stdout: out, Stderr: said})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	result, jerr := out.json()
	if st.save != "" && jerr == nil {
		r.set(st.save, result) // also after a failure: a cleanup step may want it
	}
	switch {
	case limited.Err() != nil:
		return fmt.Errorf("%s did not end within %s", args[0], st.limit)
	case err != nil:
		return failure(args[0], err, said.tail())
	case st.save != "" && jerr != nil:
		return fmt.Errorf("%s: its last line is no JSON: %w", args[0], jerr)
	}
	if l := out.tail(); len(l) > 0 {
		r.say("%s", cut(l[0], maxRunes))
	}
	return nil
}

// failure does not wrap: a program's exit code must not pass for ours.
func failure(name string, err error, said []string) error {
	text := fmt.Sprintf("%s: %v", name, err)
	if len(said) > 0 {
		text += ": " + strings.Join(said, "; ")
	}
	return errors.New(clean(text))
}

// maxLine bounds one line of a program's output.
const maxLine = 1 << 20

// lines keeps the last lines written to it that are not empty.
type lines struct {
	keep int
	each func(string)

	mu   sync.Mutex
	part []byte
	last []string
}

// Write never fails.
func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, chunk := range bytes.SplitAfter(p, []byte("\n")) {
		l.part = append(l.part, chunk...)
		if bytes.HasSuffix(chunk, []byte("\n")) || len(l.part) > maxLine {
			l.end()
		}
	}
	return len(p), nil
}

func (l *lines) end() {
	line := strings.TrimSpace(string(l.part))
	l.part = l.part[:0]
	if line == "" {
		return
	}
	l.last = append(l.last, line)
	if over := len(l.last) - l.keep; over > 0 {
		l.last = l.last[over:]
	}
	if l.each != nil {
		l.each(line)
	}
}

func (l *lines) tail() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end()
	return append([]string(nil), l.last...)
}

func (l *lines) json() (any, error) {
	last := l.tail()
	if len(last) == 0 {
		return nil, errors.New("it printed nothing")
	}
	var v any
	if err := json.Unmarshal([]byte(last[0]), &v); err != nil {
		return nil, err
	}
	return v, nil
}
