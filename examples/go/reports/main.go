// Command reports is a worker of the queue reports. The payload of a run has the URL of its
// figures, and the output is their sum.
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
	"strings"
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

func report(ctx context.Context, run client.LeasedRun) (output string, err error) {
	var payload struct{ Figures string }
	raw, err := json.Marshal(run.Payload)
	if err == nil {
		err = json.Unmarshal(raw, &payload)
	}
	if err != nil || payload.Figures == "" {
		return "", worker.Final{Err: errors.New("the payload has no figures")}
	}
	figures, err := read(ctx, payload.Figures)
	if err != nil {
		return "", err
	}
	sum := 0.0
	for _, figure := range figures {
		sum += figure
	}
	return fmt.Sprintf("the sum is %g", sum), nil
}

// read reads figures from a URL, which may have them in itself.
func read(ctx context.Context, url string) (figures []float64, err error) {
	if data, isData := strings.CutPrefix(url, "data:application/json,"); isData {
		err = json.Unmarshal([]byte(data), &figures)
		return figures, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("answered %s", answer.Status)
	}
	err = json.NewDecoder(answer.Body).Decode(&figures)
	return figures, err
}
