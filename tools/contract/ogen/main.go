// Command ogen uses the client that ogen generates from the contract: it creates a job, starts a
// run of it, and reads both.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"punctual/tools/contract/ogen/api"
)

//go:generate go tool ogen --config ogen.yml --loglevel error --target api --package api --clean ../../../openapi.yaml

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := use(ctx, os.Getenv("PUNCTUAL_URL")); err != nil {
		log.Fatal(err)
	}
}

func use(ctx context.Context, url string) error {
	client, err := api.NewClient(url)
	if err != nil {
		return err
	}
	created, err := client.CreateJob(ctx, &api.JobCreate{
		Name: "ogen", Payload: api.Payload(`{"id":1970670598291982290}`),
		IntervalInSeconds: api.NewOptNilIntervalInSeconds(3600),
		Target:            api.NewOptTarget(api.NewWorkerTargetTarget(api.WorkerTarget{Queue: "ogen"})),
	})
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
	if again, ok := found.(*api.Job); !ok || string(again.Payload) != `{"id":1970670598291982290}` {
		return fmt.Errorf("get: %T %v", found, found)
	}
	started, err := client.RunJob(ctx, api.RunJobParams{ID: job.Response.ID})
	if err != nil {
		return err
	}
	if run, ok := started.(*api.RunHeaders); !ok || !run.Response.Reason.IsNull() {
		return fmt.Errorf("run: %T %v", started, started)
	}
	return nil
}
