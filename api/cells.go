package api

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-chi/chi/v5"

	"punctual/gen/db"
	"punctual/gen/server"
	"punctual/internal/access"
	"punctual/internal/cells"
)

// cellHandlers serve the requests about the namespaces of all cells but the first one, and those
// that are answered from replicas. Safe for concurrent use.
type cellHandlers struct {
	first    *handlers
	spec     *openapi3.T
	errs     errorWriter
	replicas *replicas
	mu       sync.Mutex
	made     map[*Cell]cellHandler
}

// cellHandler serves the requests of one cell.
type cellHandler struct {
	*handlers
	router http.Handler
}

// ServeHTTP routes a request anew: another router has routed it already.
func (h cellHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.router.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), chi.RouteCtxKey, nil)))
}

func newCellHandlers(first *handlers, spec *openapi3.T, errs errorWriter) *cellHandlers {
	return &cellHandlers{first: first, spec: spec, errs: errs, replicas: newReplicas(spec), made: map[*Cell]cellHandler{}}
}

// of returns what serves the requests of a cell.
func (c *cellHandlers) of(cell *Cell) cellHandler {
	c.mu.Lock()
	defer c.mu.Unlock()
	made, isMade := c.made[cell]
	if !isMade {
		config := c.first.Config
		config.Cell = *cell
		made.handlers = &handlers{Config: config, queries: db.New(cell.Pool), first: c.first.first, others: c}
		router := chi.NewRouter()
		router.Use(made.idempotent(c.spec, c.errs))
		made.router = server.HandlerWithOptions(made.strict(c.errs), server.ChiServerOptions{
			BaseRouter: router, ErrorHandlerFunc: c.errs.invalid,
		})
		c.made[cell] = made
	}
	return made
}

// all returns the handlers of all cells.
func (c *cellHandlers) all() []*handlers {
	all := []*handlers{c.first}
	if c.first.Others == nil {
		return all
	}
	for _, cell := range c.first.Others("") {
		all = append(all, c.of(cell).handlers)
	}
	return all
}

// errCellNotOpen is the error for a request whose cell was added a moment ago.
var errCellNotOpen = errors.New("the instance has not opened the cell of the namespace yet")

// inCell serves a request by the cell of its namespace, or by a replica of it. Everything before
// has looked at nothing that is in a cell, except for the namespace itself.
func (c *cellHandlers) inCell(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cell := &c.first.Cell
		if name := access.From(r.Context()).Limits.Cell; name != cells.First {
			if cell = c.named(name); cell == nil {
				c.errs.failed(w, r, errCellNotOpen)
				return
			}
		}
		if cell.Replica != nil {
			c.replicas.note(r)
			defer c.replicas.note(r) // it may have taken long
			if lag, ok := c.replicas.lag(r, cell.Replica); ok && c.of(&cell.Replica.Cell).answerFrom(w, r, lag) {
				return
			}
		}
		if cell == &c.first.Cell {
			next.ServeHTTP(w, r)
			return
		}
		c.of(cell).ServeHTTP(w, r)
	})
}

// named returns a cell besides the first one, or nil if it is not open.
func (c *cellHandlers) named(name string) *Cell {
	if c.first.Others == nil {
		return nil
	}
	if found := c.first.Others(name); len(found) > 0 {
		return found[0]
	}
	return nil
}

// strict returns the handlers behind the generated decoding and encoding.
func (s *handlers) strict(errs errorWriter) server.ServerInterface {
	return server.NewStrictHandlerWithOptions(s, nil, server.StrictHTTPServerOptions{
		RequestErrorHandlerFunc: errs.invalid,
		ResponseErrorHandlerFunc: func(w http.ResponseWriter, r *http.Request, err error) {
			errs.failed(w, r, s.unlessMoved(r.Context(), err))
		},
	})
}

// unlessMoved returns the error of a request, or access.ErrMoving if something was not found
// because the namespace is in another cell by now, and this instance has not heard of it.
func (s *handlers) unlessMoved(ctx context.Context, err error) error {
	caller := access.From(ctx)
	if len(s.others.all()) == 1 || caller.Namespace == "" {
		return err
	}
	if p, _ := problemOf(ctx, err); p.Status != http.StatusNotFound {
		return err
	}
	if isHere, failed := s.queries.IsHere(ctx, caller.Namespace); failed == nil && !isHere {
		return access.ErrMoving
	}
	return err
}
