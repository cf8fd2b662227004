// Command ogen uses the client that ogen generates from the contract: it creates a job, starts a
// run of it, and reads both.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/ogen-go/ogen/ogenerrors"

	"punctual/tools/contract/ogen/api"
)

//go:generate go tool ogen --config ogen.yml --loglevel error --target api --package api --clean ../../../openapi.yaml

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := use(ctx, os.Getenv("PUNCTUAL_URL"), key(os.Getenv("PUNCTUAL_KEY"))); err != nil {
		log.Fatal(err)
	}
}

// key is an API key. It is bound to a namespace, so no request names one.
type key string

func (k key) Bearer(context.Context, api.OperationName) (api.Bearer, error) {
	return api.Bearer{Token: string(k)}, nil
}

func (key) NamespaceHeader(context.Context, api.OperationName) (api.NamespaceHeader, error) {
	return api.NamespaceHeader{}, ogenerrors.ErrSkipClientSecurity
}

func use(ctx context.Context, url string, caller key) error {
	client, err := api.NewClient(url, caller)
	if err != nil {
		return err
	}
	created, err := client.CreateJob(ctx, &api.JobCreate{
		Name: "ogen", Payload: api.Payload(`{"id":1970670598291982290}`),
		IntervalInSeconds: api.NewOptNilIntervalInSeconds(3600),
		Target:            api.NewOptTarget(api.NewWorkerTargetTarget(api.WorkerTarget{Queue: "ogen"})),
	}, api.CreateJobParams{IdempotencyKey: api.NewOptString("ogen")})
	if err != nil {
		return err
	}
	job, ok := created.(*api.JobHeaders)
	if !ok {
		return fmt.Errorf("create: %T", created)
	}
	found, err := client.GetJob(ctx, api.GetJobParams{ID: job.Response.ID})
	if err != nil {
		return err
	}
	if again, ok := found.(*api.GetJobByKeyOKHeaders); !ok || string(again.Response.Payload) != `{"id":1970670598291982290}` {
		return fmt.Errorf("get: %T %v", found, found)
	}
	started, err := client.RunJob(ctx, api.OptRunStart{}, api.RunJobParams{ID: job.Response.ID})
	if err != nil {
		return err
	}
	if run, ok := started.(*api.RunHeaders); !ok || !run.Response.Reason.IsNull() {
		return fmt.Errorf("run: %T %v", started, started)
	}
	return nil
}
