package app

import (
	"punctual/gen/db"
	"punctual/internal/events"
)

// observe passes a run that has ended on to those who count runs.
func (a *App) observe(job *db.Job, target string, run events.Run) {
	for _, count := range a.observers {
		count(job, target, run)
	}
}
