package secrets

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
)

// Handler cleans the message and every attribute before next formats them:
// after formatting, a secret with a quote in it would no longer look like itself.
func (r *Redactor) Handler(next slog.Handler) slog.Handler {
	return &handler{r: r, next: next}
}

type handler struct {
	r    *Redactor
	next slog.Handler
}

func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

func (h *handler) Handle(ctx context.Context, rec slog.Record) error {
	clean := slog.NewRecord(rec.Time, rec.Level, h.r.Clean(rec.Message), rec.PC)
	rec.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(h.attr(a))
		return true
	})
	return h.next.Handle(ctx, clean)
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	clean := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		clean[i] = h.attr(a)
	}
	return &handler{r: h.r, next: h.next.WithAttrs(clean)}
}

func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{r: h.r, next: h.next.WithGroup(name)}
}

func (h *handler) attr(a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindString:
		v = slog.StringValue(h.r.Clean(v.String()))
	case slog.KindGroup:
		group := make([]slog.Attr, 0, len(v.Group()))
		for _, inner := range v.Group() {
			group = append(group, h.attr(inner))
		}
		v = slog.GroupValue(group...)
	case slog.KindAny:
		v = h.any(v)
	}
	// A nested secret can be named by its key ("token" = a UUID), which the
	// value alone does not show.
	if v.Kind() == slog.KindString {
		prefix := a.Key + "="
		if joined := prefix + v.String(); h.r.Clean(joined) != joined {
			v = slog.StringValue(Redacted)
		}
	}
	return slog.Attr{Key: a.Key, Value: v}
}

// any keeps a structured value as it is while it is clean both as text and as
// JSON handlers would write it; else its cleaned text stands for it.
func (h *handler) any(v slog.Value) slog.Value {
	if raw, isBytes := v.Any().([]byte); isBytes {
		return slog.StringValue(h.r.Clean(string(raw)))
	}
	text := fmt.Sprintf("%+v", v.Any())
	if _, isErr := v.Any().(error); isErr {
		return slog.StringValue(h.r.Clean(text))
	}
	cleaned := h.r.Clean(text)
	if cleaned != text {
		return slog.StringValue(cleaned)
	}
	if js, err := json.Marshal(v.Any()); err == nil && h.r.Clean(string(js)) != string(js) {
		return slog.StringValue(h.r.Clean(string(js)))
	}
	return v
}
