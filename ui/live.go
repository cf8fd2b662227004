package ui

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"time"

	"punctual/internal/answers"
)

const (
	// changesEvery is how often a browser is told that something has happened, at most: a part of
	// the page costs more than the news.
	changesEvery = 2 * time.Second
	// newsWithin is how long a browser may take to read what it is told.
	newsWithin = 15 * time.Second
)

// live tells a browser that something has happened to what it may see, as long as it listens: a
// server-sent event "changed" with the types of what happened, separated by spaces. What the page
// shows of it, it asks for.
func live(p *page) error {
	stream, err := p.StreamEvents(p.Context(), nil)
	if err != nil {
		return err
	}
	if stream.StatusCode != http.StatusOK {
		_, err := answers.Read(stream)
		return err
	}
	defer func() { _ = stream.Body.Close() }()
	ctx, cancel := context.WithCancel(p.Context())
	defer cancel()
	types := make(chan string)
	go func() {
		defer close(types)
		lines := bufio.NewScanner(stream.Body)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			kind, isType := strings.CutPrefix(lines.Text(), "event: ")
			if !isType && !strings.HasPrefix(lines.Text(), ":") {
				continue
			}
			select {
			case types <- kind: // of a comment, it is empty
			case <-ctx.Done():
				return
			}
		}
	}()
	p.w.Header().Set("Content-Type", "text/event-stream")
	p.w.Header().Set("X-Accel-Buffering", "no")
	return p.tell(types)
}

// tell writes what happens, at once if nothing has happened for some time.
func (p *page) tell(types <-chan string) error {
	connection := http.NewResponseController(p.w)
	send := func(text string) bool {
		if connection.SetWriteDeadline(time.Now().Add(newsWithin)) != nil {
			return false
		}
		_, err := p.w.Write([]byte(text))
		return err == nil && connection.Flush() == nil
	}
	happened := map[string]bool{}
	var news <-chan time.Time
	var toldAt time.Time
	isOpen := send(": listening\n\n")
	for isOpen {
		select {
		case kind, isMore := <-types:
			switch {
			case !isMore:
				return nil // the stream has ended; the browser begins another one
			case kind == "":
				isOpen = send(": listening\n\n")
			default:
				happened[kind] = true
				if news == nil {
					news = time.After(time.Until(toldAt.Add(changesEvery)))
				}
			}
		case <-news:
			all := make([]string, 0, len(happened))
			for kind := range happened {
				all = append(all, kind)
			}
			isOpen = send("event: changed\ndata: " + strings.Join(all, " ") + "\n\n")
			clear(happened)
			news, toldAt = nil, time.Now()
		}
	}
	return nil
}
