package action

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Audit is the local record of changes: one JSON object a line.
type Audit struct {
	Context string // the named context
	Who     string // user@host, as the operating system knows it

	mu sync.Mutex
	w  io.Writer
}

// NewAudit writes to w.
func NewAudit(w io.Writer, context, who string) *Audit {
	return &Audit{Context: context, Who: who, w: w}
}

// OpenAudit appends to a file that only its owner may read, making its folder.
func OpenAudit(path, context, who string) (*Audit, io.Closer, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, nil, fmt.Errorf("audit file: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("audit file: %w", err)
	}
	return NewAudit(f, context, who), f, nil
}

// Entry is one line of the audit file.
type Entry struct {
	Time           time.Time `json:"time"`
	Context        string    `json:"context"`
	Who            string    `json:"who"`
	Action         ID        `json:"action"`
	Target         string    `json:"target"`
	Touched        []string  `json:"touched"`
	EvalID         string    `json:"eval_id,omitempty"`
	VaultRequestID string    `json:"vault_request_id,omitempty"`
	Result         string    `json:"result"` // done, failed
	Error          string    `json:"error,omitempty"`
}

func (a *Audit) write(now time.Time, p Plan, res Result, err error) error {
	e := Entry{Action: p.ID, Target: target(&p), EvalID: string(res.Eval), Result: "done", Touched: []string{}}
	for _, t := range p.Touches {
		e.Touched = append(e.Touched, t.Kind+" "+t.Name+": "+t.Effect)
	}
	if p.Request.Job.Namespace != "" {
		e.Target = p.Request.Job.String()
	}
	return a.Note(now, e, err)
}

// Note writes a line for a change that is no action on the scheduler, such as
// sealing an artifact. It fills in time, context, who and the result.
func (a *Audit) Note(now time.Time, e Entry, err error) error {
	if a == nil {
		return nil
	}
	e.Time, e.Context, e.Who = now.UTC(), a.Context, a.Who
	e.Result = "done"
	if err != nil {
		e.Result, e.Error = "failed", err.Error()
	}
	line, jerr := json.Marshal(e)
	if jerr != nil {
		return jerr
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	_, werr := a.w.Write(append(line, '\n'))
	return werr
}
