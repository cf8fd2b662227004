// Package calendars creates, replaces and deletes calendars: sets of days that jobs leave out, or
// that count for them alone. What becomes of the jobs is for package jobs.
package calendars

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"punctual/gen/db"
	"punctual/internal/access"
	"punctual/internal/audit"
	"punctual/internal/database"
	"punctual/internal/jobs"
	"punctual/internal/policy"
)

// What the state of a calendar does not allow.
const (
	Exists jobs.Code = "calendar-exists"
	InUse  jobs.Code = "calendar-in-use"
)

// ErrNotFound is the error for a calendar that does not exist for the caller.
var ErrNotFound = errors.New("there is no such calendar")

// RunsOutWithinDays is how many days before its last day a calendar is told to run out.
const RunsOutWithinDays = 30

// Config is what a Service needs.
type Config struct {
	Pool *pgxpool.Pool
	// Replaced is called after a calendar was replaced. It must not block. Default: jobs follow at
	// the next pass of the duty.
	Replaced func()
}

// Service changes calendars. Make it with New. Safe for concurrent use.
type Service struct {
	Config
	queries *db.Queries
}

// New returns a Service.
func New(c Config) *Service {
	if c.Replaced == nil {
		c.Replaced = func() {}
	}
	return &Service{c, db.New(c.Pool)}
}

// View is a calendar, and what it says.
type View struct {
	db.Calendar
	Days policy.CalendarDefinition
	// IsRunningOut reports whether it says nothing of the days from RunsOutWithinDays ahead on.
	IsRunningOut bool
}

func newView(row db.Calendar, now time.Time) (View, error) {
	v := View{Calendar: row}
	if row.ValidUntil.Valid {
		v.IsRunningOut = row.ValidUntil.Time.Before(now.AddDate(0, 0, RunsOutWithinDays))
	}
	if err := json.Unmarshal(row.Definition, &v.Days); err != nil {
		return View{}, fmt.Errorf("decode the calendar %s: %w", row.Key, err)
	}
	return v, nil
}

// Create stores a calendar. It returns a Conflict if there is one with this key, or an Invalid.
func (s *Service) Create(ctx context.Context, by access.Caller, given Request) (View, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return View{}, fmt.Errorf("make the id of a calendar: %w", err)
	}
	definition, validUntil, err := s.define(ctx, given)
	if err != nil {
		return View{}, err
	}
	var row db.Calendar
	err = s.transact(ctx, by, given.Key, "createCalendar", func(q *db.Queries) (err error) {
		row, err = q.CreateCalendar(ctx, db.CreateCalendarParams{
			ID: id, Namespace: by.Namespace, Key: given.Key, Definition: definition, ValidUntil: validUntil, UpdatedBy: by.Actor,
		})
		if database.IsUniqueViolation(err) {
			return &jobs.Conflict{Code: Exists, Detail: "There is a calendar with this key."}
		}
		return err
	})
	if err != nil {
		return View{}, err
	}
	return newView(row, row.UpdatedAt)
}

// Get returns a calendar, or ErrNotFound.
func (s *Service) Get(ctx context.Context, by access.Caller, key string) (View, error) {
	row, err := s.queries.GetCalendar(ctx, db.GetCalendarParams{Namespace: by.Namespace, Key: key})
	if err != nil {
		return View{}, found(err)
	}
	return newView(row.Calendar, row.ReadAt)
}

// found returns ErrNotFound for a calendar that is not there.
func found(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrNotFound
	}
	return fmt.Errorf("read the calendar: %w", err)
}

// List returns at most so many calendars of the caller's namespace by key, those after a key.
func (s *Service) List(ctx context.Context, by access.Caller, after string, most int32) ([]View, error) {
	rows, err := s.queries.ListCalendars(ctx, db.ListCalendarsParams{Namespace: by.Namespace, After: after, MaxRows: most})
	if err != nil {
		return nil, fmt.Errorf("list calendars: %w", err)
	}
	views := make([]View, len(rows))
	for i, row := range rows {
		if views[i], err = newView(row.Calendar, row.ReadAt); err != nil {
			return nil, err
		}
	}
	return views, nil
}

// Replace replaces all of a calendar. The jobs that name it follow (jobs.Service.SpreadCalendars).
// It returns ErrNotFound or an Invalid.
func (s *Service) Replace(ctx context.Context, by access.Caller, key string, given Request) (View, error) {
	definition, validUntil, err := s.define(ctx, given)
	if err != nil {
		return View{}, err
	}
	var row db.Calendar
	err = s.transact(ctx, by, key, "replaceCalendar", func(q *db.Queries) (err error) {
		row, err = q.ReplaceCalendar(ctx, db.ReplaceCalendarParams{
			Namespace: by.Namespace, Key: key, Definition: definition, ValidUntil: validUntil, UpdatedBy: by.Actor,
		})
		if err != nil {
			return found(err)
		}
		return nil
	})
	if err != nil {
		return View{}, err
	}
	s.Replaced()
	return newView(row, row.UpdatedAt)
}

// Delete deletes a calendar. It returns ErrNotFound, or a Conflict if jobs name it.
func (s *Service) Delete(ctx context.Context, by access.Caller, key string) error {
	return s.transact(ctx, by, key, "deleteCalendar", func(q *db.Queries) error {
		id, err := q.LockCalendar(ctx, db.LockCalendarParams{Namespace: by.Namespace, Key: key})
		if err != nil {
			return found(err)
		}
		isUsed, err := q.IsCalendarUsed(ctx, db.IsCalendarUsedParams{Namespace: by.Namespace, Key: key})
		if err != nil {
			return fmt.Errorf("look for jobs that name the calendar: %w", err)
		}
		if isUsed {
			return &jobs.Conflict{Code: InUse, Detail: "Jobs name the calendar in skipOn or onlyOn. Change or delete them first."}
		}
		return q.DeleteCalendar(ctx, db.DeleteCalendarParams{ID: id, Namespace: by.Namespace})
	})
}

// transact makes a change of a calendar in a transaction, with its entry in the audit.
func (s *Service) transact(ctx context.Context, by access.Caller, key, operation string, do func(*db.Queries) error) error {
	return pgx.BeginTxFunc(ctx, s.Pool, database.Locking, func(tx pgx.Tx) error {
		q := db.New(tx)
		if err := do(q); err != nil {
			return err
		}
		return audit.Record(ctx, q, by, audit.Entry{Operation: operation, Type: audit.Calendar, ID: key})
	})
}
