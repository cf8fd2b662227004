package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"punctual/gen/db"
	"punctual/gen/server"
	"punctual/internal/access"
	"punctual/internal/database"
	"punctual/internal/instant"
)

// bareAPI is what one would write without a contract: a handler that decodes, executes the
// service's statement and encodes. It checks nothing, logs nothing and knows no defaults. The
// caller of newBareAPI has to close it.
type bareAPI struct {
	*db.Queries
	url    string
	pool   *pgxpool.Pool
	server *http.Server
	ended  chan error
}

func newBareAPI(ctx context.Context, url string) (*bareAPI, error) {
	pool, err := database.Open(ctx, url) // as many connections as the service has
	if err != nil {
		return nil, err
	}
	socket, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		pool.Close()
		return nil, fmt.Errorf("listen: %w", err)
	}
	a := &bareAPI{Queries: db.New(pool), url: "http://" + socket.Addr().String(), pool: pool, ended: make(chan error, 1)}
	router := chi.NewRouter()
	router.Get("/api/v1/jobs/{id}", a.get)
	router.Post("/api/v1/jobs", a.create)
	a.server = &http.Server{Handler: router, ReadHeaderTimeout: time.Minute}
	go func() { a.ended <- a.server.Serve(socket) }()
	return a, nil
}

// Close stops the server.
func (a *bareAPI) Close() error {
	err := a.server.Close()
	if ended := <-a.ended; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	a.pool.Close()
	return err
}

func (a *bareAPI) get(w http.ResponseWriter, r *http.Request) {
	id, err := uuid.Parse(chi.URLParam(r, "id"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	row, err := a.GetJob(r.Context(), db.GetJobParams{ID: id, Namespace: access.DefaultNamespace})
	answer(w, http.StatusOK, &row.Job, row.ScheduledFor, err)
}

func (a *bareAPI) create(w http.ResponseWriter, r *http.Request) {
	var job struct {
		Name              string          `json:"name"`
		Payload           json.RawMessage `json:"payload"`
		Target            json.RawMessage `json:"target"`
		IntervalInSeconds int64           `json:"intervalInSeconds"`
		MaxAttempts       int16           `json:"maxAttempts"`
	}
	if err := json.NewDecoder(r.Body).Decode(&job); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	now := time.Now()
	next := now.Add(time.Duration(job.IntervalInSeconds) * time.Second)
	created, err := a.store(r.Context(), db.CreateJobParams{
		OnSkipped: db.OnSkippedDROP, AlertAfterFailures: 1,
		ID: uuid.Must(uuid.NewV7()), Namespace: access.DefaultNamespace, UpdatedBy: "bench", Name: job.Name, Payload: job.Payload,
		Target: job.Target, SecretNames: []string{}, IntervalSeconds: &job.IntervalInSeconds, AnchorAt: &now,
		CreatedAt: now, MaxAttempts: job.MaxAttempts, MaxBackoffSeconds: 60, AttemptDeadlineSeconds: 60,
		MisfirePolicy: db.MisfirePolicyFIREONCE, OverlapPolicy: db.OverlapPolicySKIP, RunHistory: db.RunHistoryALL,
	}, next)
	w.Header().Set("Location", "/api/v1/jobs/"+created.Job.ID.String())
	answer(w, http.StatusCreated, &created.Job, &next, err)
}

// store executes the statements of a creation, in one round trip as the service does.
func (a *bareAPI) store(ctx context.Context, job db.CreateJobParams, next time.Time) (created db.ReadCreatedRow, err error) {
	conn, err := a.pool.Acquire(ctx)
	if err != nil {
		return created, err
	}
	defer conn.Release()
	together := database.Together(conn)
	later := db.New(together.Later())
	if err := later.CreateJob(ctx, job); err != nil {
		return created, err
	}
	if err := later.CreateFirst(ctx, db.CreateFirstParams{ID: job.ID, ScheduledFor: next}); err != nil {
		return created, err
	}
	if err := later.AuditCreation(ctx, db.AuditCreationParams{ID: job.ID, Operation: "createJob"}); err != nil {
		return created, err
	}
	return db.New(together).ReadCreated(ctx, job.ID)
}

// answer writes the contract's job.
func answer(w http.ResponseWriter, status int, job *db.Job, next *time.Time, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(server.Job{ // if this fails, the client notices
		Id: job.ID, Name: job.Name, Payload: job.Payload, Target: job.Target, TargetSecrets: job.SecretNames,
		IntervalInSeconds: job.IntervalSeconds, JitterSeconds: job.JitterSeconds, DeleteAfterCompletion: job.DeleteAfterCompletion,
		MisfirePolicy: server.MisfirePolicy(job.MisfirePolicy), OverlapPolicy: server.OverlapPolicy(job.OverlapPolicy),
		MaxAttempts: int32(job.MaxAttempts), MinBackoffSeconds: job.MinBackoffSeconds, MaxBackoffSeconds: job.MaxBackoffSeconds,
		AttemptDeadlineSeconds: job.AttemptDeadlineSeconds, RunHistory: server.RunHistory(job.RunHistory),
		Status: server.JobStatus(job.Status), RunCount: job.RunCount, NextRunAt: &instant.Time{Time: *next},
		CreatedAt: instant.Time{Time: job.CreatedAt}, UpdatedAt: instant.Time{Time: job.UpdatedAt},
		Namespace: job.Namespace, Version: job.Version, UpdatedBy: job.UpdatedBy, AlertAfterFailures: int32(job.AlertAfterFailures),
		OnSkipped: server.OnSkipped(job.OnSkipped), SkipOn: []string{}, OnlyOn: []string{}, Labels: server.Labels{},
		Health: server.JobHealthNEVERRAN,
	})
}
