// Package logging writes structured logs, and keeps those of a long outage short.
package logging

import (
	"context"
	"io"
	"log/slog"
	"os"
	"slices"

	"github.com/lmittmann/tint"
	"github.com/mattn/go-isatty"

	"punctual/internal/sanitize"
)

// New returns a logger that writes to out: lines in colour if out is a terminal, JSON otherwise.
// Each line has the attributes that With put into its context.
func New(out io.Writer, level slog.Level) *slog.Logger {
	var handler slog.Handler = slog.NewJSONHandler(out, &slog.HandlerOptions{Level: level, ReplaceAttr: readable})
	if f, ok := out.(*os.File); ok && isatty.IsTerminal(f.Fd()) {
		handler = tint.NewTextHandler(out, &tint.Options{Level: level, TimeFormat: "15:04:05.000", ReplaceAttr: withoutCredentials})
	}
	return slog.New(contextHandler{handler})
}

// readable writes durations with their unit, which slog's JSON encoder leaves out, and makes
// visible what a terminal or a browser obeys: names and errors come from users and from what they
// call.
func readable(groups []string, attr slog.Attr) slog.Attr {
	attr = withoutCredentials(groups, attr)
	switch attr.Value.Kind() {
	case slog.KindDuration:
		attr.Value = slog.StringValue(attr.Value.Duration().String())
	case slog.KindString:
		attr.Value = slog.StringValue(sanitize.Visible(attr.Value.String()))
	case slog.KindAny:
		switch value := attr.Value.Any().(type) {
		case error:
			attr.Value = slog.StringValue(sanitize.Visible(value.Error()))
		case slog.Level: // each line has one, and encoding it as anything else takes a while
			attr.Value = slog.StringValue(value.String())
		}
	default: // has no text of its own
	}
	return attr
}

// withoutCredentials leaves out keys and tokens, which clients may send in a path, for example.
func withoutCredentials(_ []string, attr slog.Attr) slog.Attr {
	switch attr.Value.Kind() {
	case slog.KindString:
		attr.Value = slog.StringValue(sanitize.WithoutCredentials(attr.Value.String()))
	case slog.KindAny:
		if err, ok := attr.Value.Any().(error); ok && err != nil {
			attr.Value = slog.StringValue(sanitize.WithoutCredentials(err.Error()))
		}
	default: // has no text of its own
	}
	return attr
}

type attrsKey struct{}

// With returns a context that adds attrs to each log line written with it.
func With(ctx context.Context, attrs ...slog.Attr) context.Context {
	return context.WithValue(ctx, attrsKey{}, slices.Concat(attrsOf(ctx), attrs))
}

func attrsOf(ctx context.Context) []slog.Attr {
	attrs, _ := ctx.Value(attrsKey{}).([]slog.Attr)
	return attrs
}

// contextHandler adds the attributes that With put into a line's context.
type contextHandler struct{ slog.Handler }

func (h contextHandler) Handle(ctx context.Context, line slog.Record) error {
	line.AddAttrs(attrsOf(ctx)...)
	return h.Handler.Handle(ctx, line)
}

func (h contextHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return contextHandler{h.Handler.WithAttrs(attrs)}
}

func (h contextHandler) WithGroup(name string) slog.Handler {
	return contextHandler{h.Handler.WithGroup(name)}
}
