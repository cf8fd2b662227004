package executor

import (
	"context"
	"net"
	"net/netip"
	"time"

	"punctual/internal/outbound"
)

// HTTPConfig says what the targets that users name may reach, as [outbound.Config] does: public addresses on ports 80 and
// 443, and what is added here.
type HTTPConfig struct {
	// AllowCIDRs are networks that may be reached though they are private or reserved.
	AllowCIDRs []netip.Prefix
	// AllowPorts may be reached beside 80 and 443, on every address that may be reached.
	AllowPorts []uint16
	// Resolver looks names up; nil: the system's does.
	Resolver *net.Resolver
}

// HTTP executes a run by a request to the URL that its job names.
type HTTP struct{ client *outbound.Client }

// NewHTTP makes an executor. Its connections are kept for later runs.
func NewHTTP(cfg HTTPConfig) *HTTP { return &HTTP{client: outbound.New(outbound.Config(cfg))} }

// Execute sends the request and reads the beginning of the answer. The attempt succeeds by the answer's status, and when the
// answer was complete or larger than what is kept of it.
func (h *HTTP) Execute(ctx context.Context, run Run) (*Result, error) {
	def, secrets, err := decodeHTTP(run.Definition, run.Secrets)
	if err != nil {
		return nil, &Failure{Err: err, IsFinal: true}
	}
	began := time.Now()
	req, err := def.request(ctx, run, secrets, began)
	if err != nil {
		return nil, &Failure{Err: err, IsFinal: true}
	}
	hide := newRedactor(secrets)
	resp, err := h.client.Do(req)
	if err != nil {
		return &Result{Duration: time.Since(began)}, describeHTTP(ctx, err, "there was no answer in time", hide)
	}
	// What has not been read to its end by now is not: closing ends the connection then.
	defer func() { _ = resp.Body.Close() }()
	result := &Result{StatusCode: resp.StatusCode}
	result.Output, result.OutputIsTruncated, err = readOutput(resp.Body, hide)
	result.Duration = time.Since(began)
	if failure := def.judge(resp, time.Now()); failure != nil {
		return result, failure
	}
	if err != nil {
		return result, describeHTTP(ctx, err, "the answer was not complete in time", hide)
	}
	return result, nil
}
