package action

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"stoker/cluster"
)

// ErrAudit refuses a change that could not be noted.
var ErrAudit = errors.New("it could not be noted in the audit file")

// Audit is the local record of changes: one JSON object a line. Its methods may
// be called from several goroutines, and on nil, which keeps no record.
type Audit struct {
	Context string // the named context
	Who     string // user@host, as the operating system knows it
	// Redact takes secrets out of what servers answered; nil leaves it as it is.
	Redact func(text string) string

	mu   sync.Mutex
	path string
	w    io.Writer // nil until the first change
}

// NewAudit writes to w.
func NewAudit(w io.Writer, context, who string) *Audit {
	return &Audit{Context: context, Who: who, w: w}
}

// AuditFile appends to a file that only its owner may read. The first change
// opens it and makes its folder: who only looks needs neither.
func AuditFile(path, context, who string) *Audit {
	return &Audit{Context: context, Who: who, path: path}
}

// Ready says whether a change can be noted, before it is made. It fails with ErrAudit.
func (a *Audit) Ready() error {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.open()
}

func (a *Audit) open() error {
	if a.w != nil {
		return nil
	}
	err := os.MkdirAll(filepath.Dir(a.path), 0o700)
	if err == nil {
		var f *os.File
		if f, err = os.OpenFile(a.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600); err == nil {
			a.w = f
			return nil
		}
	}
	return &cluster.Fault{
		Kind: ErrAudit, Err: err, Text: ErrAudit.Error() + ": " + err.Error(),
		Advice: "a change without a note is not made: make that folder writable, or set XDG_STATE_HOME to one that is",
	}
}

// Close closes the file, if a change has opened it.
func (a *Audit) Close() error {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if c, ok := a.w.(io.Closer); ok {
		return c.Close()
	}
	return nil
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
	redact := a.Redact
	if redact == nil {
		redact = func(text string) string { return text }
	}
	e.Time, e.Context, e.Who = now.UTC(), a.Context, a.Who
	e.Result = "done"
	if err != nil {
		e.Result, e.Error = "failed", redact(err.Error())
	}
	e.Target, e.Touched = redact(e.Target), slices.Clone(e.Touched)
	for i, t := range e.Touched {
		e.Touched[i] = redact(t)
	}
	line, jerr := json.Marshal(e)
	if jerr != nil {
		return jerr
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if oerr := a.open(); oerr != nil {
		return oerr
	}
	_, werr := a.w.Write(append(line, '\n'))
	return werr
}
