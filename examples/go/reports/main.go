// Command reports is a worker of the queue reports. The payload of a run has figures, and the
// output is their sum.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"punctual/examples/go/worker"
	"punctual/gen/client"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	service, err := client.NewClientWithResponses(cmp.Or(os.Getenv("PUNCTUAL_URL"), "http://localhost:3000"), client.WithRequestEditorFn(authorize))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		stop()
		os.Exit(1) //nolint:gocritic // stop has been called
	}
	worker.Worker{Client: service, Queue: "reports", Execute: report, AtOnce: 100}.Run(ctx)
}

// authorize adds the key of the worker to a request, if it has one.
func authorize(_ context.Context, r *http.Request) error {
	if key := os.Getenv("PUNCTUAL_KEY"); key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	return nil
}

func report(_ context.Context, run client.LeasedRun) (output string, err error) {
	var payload struct{ Figures []float64 }
	raw, err := json.Marshal(run.Payload)
	if err == nil {
		err = json.Unmarshal(raw, &payload)
	}
	if err != nil || len(payload.Figures) == 0 {
		return "", worker.Final{Err: errors.New("the payload has no figures")}
	}
	sum := 0.0
	for _, figure := range payload.Figures {
		sum += figure
	}
	return fmt.Sprintf("the sum is %g", sum), nil
}
