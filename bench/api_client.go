package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"reflect"
)

// apiBody is the job that is created. It is not due while it is measured.
const apiBody = `{"name":"sales report","payload":{"report":"sales","format":"pdf","to":["a@example.com"]},` +
	`"target":{"type":"http","url":"https://example.com/hooks/report"},"intervalInSeconds":31536000,"maxAttempts":5}`

func getRequest(id, key string) []byte {
	return []byte("GET /api/v1/jobs/" + id + " HTTP/1.1\r\nHost: localhost\r\n" + authorization(key) + "\r\n")
}

func createRequest(key string) []byte {
	return fmt.Appendf(nil, "POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"+
		"%sContent-Length: %d\r\n\r\n%s", authorization(key), len(apiBody), apiBody)
}

// authorization returns the line of a request that brings a key, if there is one.
func authorization(key string) string {
	if key == "" {
		return ""
	}
	return "Authorization: Bearer " + key + "\r\n"
}

// caller asks over one connection. It is less work than a client that can do everything, because
// what it costs makes all contestants look the same. The caller of newCaller has to close it.
type caller struct {
	net.Conn
	answers *bufio.Reader
}

func newCaller(ctx context.Context, address string) (*caller, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return &caller{conn, bufio.NewReader(conn)}, nil
}

// call sends a request and returns the body of the answer, which must have a status.
func (c *caller) call(request []byte, status int) (body []byte, err error) {
	if _, err := c.Write(request); err != nil {
		return nil, err
	}
	answer, err := http.ReadResponse(c.answers, nil)
	if err != nil {
		return nil, err
	}
	body, err = io.ReadAll(answer.Body)
	if err = errors.Join(err, answer.Body.Close()); err != nil {
		return nil, err
	}
	if answer.StatusCode != status {
		return nil, fmt.Errorf("answered %s: %s", answer.Status, body)
	}
	return body, nil
}

// idIn returns the id of a job that was answered, or an empty text.
func idIn(answer []byte) string {
	var job struct{ ID string }
	_ = json.Unmarshal(answer, &job) // without an id, no job will be found
	return job.ID
}

// sameAnswers returns an error unless two contestants answer the same for a job.
func sameAnswers(ctx context.Context, a, b apiContestant, id string) error {
	var answers [2]any
	for i, c := range []apiContestant{a, b} {
		caller, err := newCaller(ctx, c.url)
		if err != nil {
			return err
		}
		answer, err := caller.call(getRequest(id, c.key), http.StatusOK)
		if err = errors.Join(err, caller.Close()); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		if err := json.NewDecoder(bytes.NewReader(answer)).Decode(&answers[i]); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	if !reflect.DeepEqual(answers[0], answers[1]) {
		return fmt.Errorf("%s and %s answer differently: %v, %v", a.name, b.name, answers[0], answers[1])
	}
	return nil
}
