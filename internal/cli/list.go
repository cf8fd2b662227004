package cli

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"punctual/gen/client"
)

// ListFlags are the flags of each command that lists.
type ListFlags struct {
	Limit int  `group:"output" default:"50" help:"The maximum number of items. 0: all."`
	Watch bool `group:"output" short:"w" help:"List again every 2 seconds, until Ctrl-C."`
}

// Validate refuses what makes no sense. Kong calls it.
func (f ListFlags) Validate() error {
	if f.Limit < 0 {
		return usage("--limit must not be negative")
	}
	return nil
}

const (
	// maxPage is the largest page that the API gives.
	maxPage = 500
	// watchEvery is how often a list is read again: seldom enough to be no load.
	watchEvery = 2 * time.Second
)

// page is a page of any list of the API.
type page[T any] struct {
	Items      []T     `json:"items"`
	NextCursor *string `json:"nextCursor"`
}

// reader asks for one page.
type reader func(context.Context, *client.Cursor, *client.Limit) (*http.Response, error)

// list reads pages and prints what is in them.
func (t table[T]) list(ctx context.Context, s *Session, f ListFlags, next reader) error {
	return s.repeat(ctx, f.Watch, func() error {
		all, isMore, err := walk[T](ctx, f.Limit, next)
		if err != nil {
			return err
		}
		if err := t.print(s, all); err != nil {
			return err
		}
		if isMore && !f.Watch {
			fmt.Fprintf(s.Err, "The list ends after %d, but there are more. --limit 0 lists all.\n", len(all))
		}
		return nil
	})
}

// walk reads up to limit items, or all if it is 0, and reports whether there are more.
func walk[T any](ctx context.Context, limit int, next reader) (all []T, isMore bool, err error) {
	for cursor := (*string)(nil); ; {
		size := int32(maxPage)
		if limit > 0 {
			size = int32(min(maxPage, limit-len(all)))
		}
		p, err := answer[page[T]](next(ctx, cursor, &size))
		if err != nil {
			return nil, false, err
		}
		all, cursor = append(all, p.Items...), p.NextCursor
		if cursor == nil || limit > 0 && len(all) >= limit {
			return all, cursor != nil, nil
		}
	}
}

// repeat calls show once, or again and again until the context ends. On a terminal, each time
// replaces the one before.
func (s *Session) repeat(ctx context.Context, again bool, show func() error) error {
	for {
		if again && s.OutIsTerminal {
			fmt.Fprint(s.Out, "\x1b[H\x1b[2J\x1b[3J")
		}
		err := show()
		if !again {
			return err
		}
		if ctx.Err() != nil {
			return nil //nolint:nilerr // Ctrl-C is how watching ends
		}
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(watchEvery):
		}
	}
}
