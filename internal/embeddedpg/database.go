package embeddedpg

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	readyPoll    = 25 * time.Millisecond
	readyConnect = 5 * time.Second
	// refusals bounds how often in a row the server may refuse us for a reason that does not pass
	// by itself: for 5 s. One refusal is not enough, because another server may have taken our
	// port, and then our own server is about to say so and end.
	refusals = 200
)

// SQLSTATEs, from PostgreSQL's appendix A.
const (
	cannotConnectNow   = "57P03" // starting up, or in recovery, which may take long
	invalidCatalogName = "3D000" // no such database
)

// awaitDatabase tries to connect until it succeeds, and creates the database if it is missing. It
// returns an error when ctx ends, when the server has ended, or when the server keeps refusing.
func awaitDatabase(ctx context.Context, address url.URL, ended <-chan struct{}) error {
	poll := time.NewTicker(readyPoll)
	defer poll.Stop()
	// Another program on our port may accept the connection and stay silent. The end of our server
	// ends such an attempt.
	attempts, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-ended:
			cancel()
		case <-attempts.Done():
		}
	}()
	for refused := 0; ; {
		err := openDatabase(attempts, address)
		if err == nil {
			return nil
		}
		var answer *pgconn.PgError
		if errors.As(err, &answer) && answer.Code != cannotConnectNow {
			refused++
		}
		if refused > refusals {
			return fmt.Errorf("connect to it: %w", err)
		}
		select {
		case <-poll.C:
		case <-attempts.Done():
		}
		if attempts.Err() == nil {
			continue
		}
		if ctx.Err() == nil {
			return errors.New("it ended at once")
		}
		return fmt.Errorf("not ready in time: %w: %w", context.Cause(ctx), err)
	}
}

// openDatabase connects once. Success also shows that the server is ours, because both sides prove
// that they know the password.
func openDatabase(ctx context.Context, address url.URL) error {
	conn, err := connect(ctx, address)
	if err == nil {
		return conn.Close(ctx)
	}
	var answer *pgconn.PgError
	if !errors.As(err, &answer) || answer.Code != invalidCatalogName {
		return err
	}
	address.Path = "/postgres"
	conn, err = connect(ctx, address)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "create database "+databaseName)
	return errors.Join(err, conn.Close(ctx))
}

func connect(ctx context.Context, address url.URL) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, readyConnect)
	defer cancel()
	return pgx.Connect(ctx, address.String())
}
