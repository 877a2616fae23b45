package serve

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// problem is an error answer: RFC 9457, and the protocol's "error" beside it.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Error  string `json:"error"`

	reason string // under which a refused input is counted
}

func refuse(status int, format string, args ...any) *problem {
	detail := fmt.Sprintf(format, args...)
	return &problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail, Error: detail}
}

func (p *problem) because(reason string) *problem {
	p.reason = reason
	return p
}

func notReady() *problem {
	return refuse(http.StatusServiceUnavailable, "the model is not loaded yet, or the server is stopping").because("not_ready")
}

func (p *problem) send(w http.ResponseWriter) {
	body, err := json.Marshal(p)
	if err != nil { // strings and a number: cannot fail
		body = nil
	}
	send(w, p.Status, "application/problem+json", body)
}

func sendJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		refuse(http.StatusInternalServerError, "encode the answer: %v", err).send(w)
		return
	}
	send(w, status, "application/json", body)
}

func send(w http.ResponseWriter, status int, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that hung up misses nothing
}
