package namespaces

import (
	"context"
	"time"

	"punctual/internal/access"
	"punctual/internal/cells"
	"punctual/internal/recent"
)

// knownFor is how long a namespace is known without being read again.
const knownFor = 3 * time.Second

// Cache knows the limits of the namespaces that requests name. Make it with NewCache. Safe for
// concurrent use.
type Cache struct {
	*recent.Values[string, access.Limits]
}

// NewCache returns a Cache that knows nothing yet.
func NewCache(directory *cells.Directory) *Cache {
	return &Cache{recent.New(knownFor, func(ctx context.Context, name string, _ access.Limits) (access.Limits, error) {
		row, cell, err := read(ctx, directory, name)
		if err != nil {
			return access.Limits{}, err
		}
		return access.Limits{
			MaxJobs: row.MaxJobs, MinIntervalSeconds: row.MinIntervalSeconds, RequestsPerSecond: row.RequestsPerSecond,
			RunRetentionDays: row.RunRetentionDays, IsSuspended: row.SuspendedAt != nil,
			Cell: cell,
		}, nil
	})}
}

// Limits returns the limits of a namespace, or access.ErrNoNamespace.
func (c *Cache) Limits(ctx context.Context, name string) (access.Limits, error) {
	return c.Get(ctx, name)
}
