package app

import (
	"punctual/gen/db"
	"punctual/internal/maintenance"
)

// duties are the periodic tasks of an instance that polls.
func (a *App) duties() []maintenance.Duty {
	q := db.New(a.pools.engine)
	duties := []maintenance.Duty{
		maintenance.Partitions(q),
		maintenance.Abandoned(q, a.missed),
		maintenance.Overdue(a.broker.EndOverdue),
		maintenance.Unserved(a.broker.WarnUnserved),
		maintenance.Namespaces(a.pauser.FollowNamespaces, a.changed),
		maintenance.OverdueJobs(a.pauser.TellOverdue),
		maintenance.EventStarts(a.pauser.StartByEvents, a.started),
		maintenance.Pauses(a.pauser.EndPauses, a.paused),
		maintenance.Calendars(a.pauser.SpreadCalendars, a.replaced),
		maintenance.RunningOut(q, a.log),
		maintenance.SetBack(q, a.log, a.pauser.BringBack, func() bool { return a.clockWasSetBack.Swap(false) }, a.setBack),
		maintenance.NamespaceRetention(a.pools.engine, a.config.RunRetentionDays),
		maintenance.Purge(q),
		maintenance.Instances(q),
		maintenance.CoarsenStats(q, a.config.RunRetentionDays),
		maintenance.Idempotency(q),
		maintenance.Sessions(q),
	}
	if days := a.config.RunRetentionDays; days > 0 {
		duties = append(duties, maintenance.Retention(q, days))
	}
	if days := a.config.AuditRetentionDays; days > 0 {
		duties = append(duties, maintenance.Audit(q, days))
	}
	return a.measured(duties)
}

// ownDuties are the periodic tasks that each instance does for itself.
func (a *App) ownDuties() []maintenance.Duty {
	return a.measured([]maintenance.Duty{maintenance.AddStats(a.stats.Flush)})
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
