package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/hashicorp/go-msgpack/v2/codec"
	"github.com/hashicorp/nomad/nomad/structs"
)

// A simulated task says one line a second. Nothing is kept: which lines there
// are follows from when it began, as far back as logs are usually kept.
const (
	lineLength = 64
	linesKept  = 5000
)

// logsRequest, logsReply and logsFrame are Nomad's own, as far as they are needed.
type logsRequest struct {
	AllocID, Task, LogType, Origin string
	Offset                         int64
	PlainText, Follow              bool
	structs.QueryOptions
}

type logsReply struct {
	Error *struct {
		Message string
		Code    *int64
	}
	Payload []byte
}

type logsFrame struct {
	Offset int64  `json:",omitempty"`
	Data   []byte `json:",omitempty"`
	File   string `json:",omitempty"`
}

// serveLogs answers FileSystem.Logs over its stream. The server has judged the
// rights of who asks.
func (f *fleet) serveLogs(conn net.Conn) {
	var req logsRequest
	out := codec.NewEncoder(conn, structs.MsgpackHandle)
	if codec.NewDecoder(conn, structs.MsgpackHandle).Decode(&req) != nil {
		return
	}
	if err := f.sendLogs(conn, out, req); err != nil {
		var r logsReply
		code := int64(http.StatusNotFound)
		r.Error = &struct {
			Message string
			Code    *int64
		}{err.Error(), &code}
		_ = out.Encode(r)
	}
}

func (f *fleet) sendLogs(conn net.Conn, out *codec.Encoder, req logsRequest) error {
	n, a := f.alloc(req.AllocID)
	if a == nil {
		return fmt.Errorf("unknown allocation %q", req.AllocID)
	}
	began, ended, load, ok := n.life(a, req.Task)
	if !ok {
		return fmt.Errorf("task %q not started yet. No logs available", req.Task)
	}
	// Who asked and went away is not told further.
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = io.Copy(io.Discard, conn)
	}()
	total := int64(ended.Sub(began) / time.Second)
	first := max(0, total-linesKept)
	if req.Origin == "end" {
		first = max(first, total-req.Offset/lineLength)
	} else {
		first = max(first, req.Offset/lineLength)
	}
	if req.LogType == "stderr" {
		first = total // it is silent
	}
	send := func(from, to int64) error {
		var text bytes.Buffer
		for i := from; i < to; i++ {
			text.WriteString(logLine(load, a.id, began, i))
		}
		reply := logsReply{Payload: text.Bytes()}
		if !req.PlainText {
			raw, err := json.Marshal(logsFrame{Offset: to * lineLength, Data: text.Bytes(), File: "alloc/logs/" + req.Task + "." + req.LogType + ".0"})
			if err != nil {
				return err
			}
			reply.Payload = raw
		}
		return out.Encode(reply)
	}
	const atOnce = 500
	for ; first < total; first += atOnce {
		if err := send(first, min(total, first+atOnce)); err != nil {
			return nil // nobody listens
		}
	}
	for req.Follow {
		select {
		case <-gone:
			return nil
		case <-f.ended.Done():
			return nil
		case <-time.After(time.Second):
		}
		_, ended, _, _ := n.life(a, req.Task)
		now := int64(ended.Sub(began) / time.Second)
		if now > total && req.LogType != "stderr" && send(total, now) != nil {
			return nil
		}
		total = max(total, now)
	}
	return nil
}

// alloc finds an allocation on whichever node it is.
func (f *fleet) alloc(id string) (*node, *alloc) {
	for _, n := range f.nodes {
		n.mu.Lock()
		a := n.allocs[id]
		n.mu.Unlock()
		if a != nil {
			return n, a
		}
	}
	return nil, nil
}

// life is when a task began and until when it has lived so far.
func (n *node) life(a *alloc, task string) (began, ended time.Time, load string, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := a.states[task]
	if s == nil || s.StartedAt.IsZero() {
		return began, ended, "", false
	}
	ended = time.Now()
	if !s.FinishedAt.IsZero() {
		ended = s.FinishedAt
	}
	return s.StartedAt, ended, a.load, true
}

// logLine is the i-th line of a task, of always the same length.
func logLine(load, alloc string, began time.Time, i int64) string {
	h := fnv.New32a()
	fmt.Fprint(h, alloc, i)
	noise := float64(h.Sum32()%1000) / 1000
	at := began.Add(time.Duration(i) * time.Second).UTC().Format("15:04:05")
	text := fmt.Sprintf("%s idle", at)
	switch load {
	case loadTrain:
		text = fmt.Sprintf("%s step %d loss %.4f grad %.3f", at, i*4, 1.7+6/(1+float64(i)/300)+noise/10, 0.4+noise)
	case loadServe:
		text = fmt.Sprintf("%s POST /v1/chat/completions 200 %.0f ms", at, 120+900*noise*noise)
	}
	return fmt.Sprintf("%-*s\n", lineLength-1, text)
}

// allocations answers what the servers ask about one allocation.
type allocations struct{ fleet *fleet }

// Restart lets a task end and begin again in its place.
func (c *allocations) Restart(args *structs.AllocRestartRequest, _ *structs.GenericResponse) error {
	n, a := c.fleet.alloc(args.AllocID)
	if a == nil {
		return fmt.Errorf("unknown allocation %q", args.AllocID)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if a.status != structs.AllocClientStatusRunning {
		return errors.New("task not running")
	}
	a.say(n, structs.TaskRestartSignal, func(e *structs.TaskEvent) { e.SetRestartReason("User requested task to restart") })
	a.say(n, structs.TaskTerminated, func(e *structs.TaskEvent) { e.SetExitCode(0) })
	a.say(n, structs.TaskRestarting, func(e *structs.TaskEvent) { e.SetRestartReason("User requested task to restart") })
	a.say(n, structs.TaskStarted, nil)
	now := time.Now().UTC()
	for name, s := range a.states {
		if args.TaskName == "" || args.TaskName == name {
			s.Restarts++
			s.StartedAt, s.LastRestart = now, now
		}
	}
	return nil
}

// Signal is told in the task's history and does nothing else.
func (c *allocations) Signal(args *structs.AllocSignalRequest, _ *structs.GenericResponse) error {
	n, a := c.fleet.alloc(args.AllocID)
	if a == nil {
		return fmt.Errorf("unknown allocation %q", args.AllocID)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	a.say(n, structs.TaskSignaling, func(e *structs.TaskEvent) { e.SetTaskSignalReason(args.Signal) })
	return nil
}
