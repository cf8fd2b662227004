package app

import (
	"context"

	"punctual/gen/db"
	"punctual/internal/cells"
	"punctual/internal/maintenance"
	"punctual/internal/namespaces"
)

// duties are the periodic tasks of an instance that polls.
func (c *cell) duties() []maintenance.Duty {
	q := db.New(c.pools.engine)
	duties := []maintenance.Duty{
		maintenance.Partitions(q),
		maintenance.Abandoned(q, c.missed),
		maintenance.Overdue(c.broker.EndOverdue),
		maintenance.Unserved(c.broker.WarnUnserved),
		maintenance.Namespaces(c.pauser.FollowNamespaces, c.changed),
		maintenance.OverdueJobs(c.pauser.TellOverdue),
		maintenance.EventStarts(c.pauser.StartByEvents, c.started),
		maintenance.Pauses(c.pauser.EndPauses, c.paused),
		maintenance.Calendars(c.pauser.SpreadCalendars, c.replaced),
		maintenance.RunningOut(q, c.log),
		maintenance.SetBack(q, c.log, c.pauser.BringBack, func() bool { return c.clockWasSetBack.Swap(false) }, c.setBack),
		maintenance.NamespaceRetention(c.pools.engine, c.config.RunRetentionDays),
		maintenance.Purge(q),
		maintenance.Instances(q),
		maintenance.CoarsenStats(c.pools.engine, c.config.RunRetentionDays),
		maintenance.Idempotency(q),
		maintenance.ConnectionStates(q),
		maintenance.AbandonedMoves(func(ctx context.Context) (int64, error) {
			return cells.EndAbandonedMoves(ctx, c.pools.engine, c.name, namespaces.FreeMoved)
		}),
	}
	if c.name == cells.First {
		duties = append(duties, maintenance.Sessions(q), maintenance.Placements(c.app.directory.PurgePlacements))
	}
	if days := c.config.RunRetentionDays; days > 0 {
		duties = append(duties, maintenance.Retention(q, days))
	}
	if days := c.config.AuditRetentionDays; days > 0 {
		duties = append(duties, maintenance.Audit(q, days))
	}
	return c.named(duties)
}

// named returns duties that are told apart from those of other cells.
func (c *cell) named(duties []maintenance.Duty) []maintenance.Duty {
	if c.name != cells.First {
		for i := range duties {
			duties[i].Name += " in the cell " + c.name
		}
	}
	return c.app.measured(duties)
}

// ownDuties are the periodic tasks that each instance does for itself.
func (c *cell) ownDuties() []maintenance.Duty {
	return c.named([]maintenance.Duty{maintenance.AddStats(c.stats.Flush)})
}

// measured are duties that tell the metrics of each pass.
func (a *App) measured(duties []maintenance.Duty) []maintenance.Duty {
	if a.metrics != nil {
		for i := range duties {
			duties[i].Done = a.metrics.Engine.Duty(duties[i].Name, duties[i].Every)
		}
	}
	return duties
}
