package maintenance

import (
	"context"
	"fmt"
	"time"

	"punctual/gen/db"
)

// connectionStatesEvery bounds how long the runs of a connection wait that an older version has
// created during an upgrade.
const connectionStatesEvery = time.Minute

// ConnectionStates stores a state for the connections that have none: an instance of a version
// before 20261129000110_add_connection_states.sql has created them after that migration.
func ConnectionStates(q *db.Queries) Duty {
	return Duty{Name: "add the states of connections", Every: connectionStatesEvery, Pass: func(ctx context.Context) (Result, error) {
		n, err := q.AddConnectionStates(ctx)
		if err != nil {
			return Result{}, fmt.Errorf("add the states of connections: %w", err)
		}
		return Result{Count: n}, nil
	}}
}
