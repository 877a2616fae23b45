package nomad

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/hashicorp/nomad/api"

	"stoker/cluster"
)

// maxLogLine bounds one line: a task that never writes a newline must not take all memory.
const maxLogLine = 256 << 10

// Logs reads the log of one task line by line, through the servers, so that
// the nodes need not be reachable. With Follow it returns when ctx ends or the
// allocation is collected; a cancelled ctx is no error.
func (c *Client) Logs(ctx context.Context, req cluster.LogRequest, emit func(cluster.LogLine)) error {
	kind := "stdout"
	if req.Stderr {
		kind = "stderr"
	}
	params := map[string]string{"task": req.Task, "type": kind, "plain": "true", "origin": "start", "offset": "0", "follow": fmt.Sprint(req.Follow)}
	if req.Tail > 0 {
		params["origin"], params["offset"] = "end", fmt.Sprint(req.Tail)
	}
	q := (&api.QueryOptions{Params: params, Namespace: c.namespace}).WithContext(ctx)
	body, err := c.api.Raw().Response("/v1/client/fs/logs/"+string(req.Alloc), q)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return c.fault(err)
	}
	defer body.Close()
	err = lines(body, func(text string) {
		emit(cluster.LogLine{Alloc: req.Alloc, Task: req.Task, Stderr: req.Stderr, Text: text})
	})
	if ctx.Err() != nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// lines cuts r into lines. A tail may begin in the middle of one.
func lines(r io.Reader, emit func(string)) error {
	br := bufio.NewReaderSize(r, maxLogLine)
	for {
		line, err := br.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			err = nil
		}
		if len(line) > 0 {
			emit(strings.TrimRight(string(line), "\r\n"))
		}
		if err != nil {
			return err
		}
	}
}
