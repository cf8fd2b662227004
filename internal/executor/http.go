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

// maxBodyTime is how long the body of an answer is waited for once its headers are there.
const maxBodyTime = time.Second

// Execute sends the request and reads the beginning of the answer. The status of the answer decides whether the attempt
// succeeds, whatever becomes of its body.
func (h *HTTP) Execute(ctx context.Context, run Run) (*Result, error) {
	def, secrets, err := decodeHTTP(run.Definition, run.Secrets)
	if err != nil {
		return nil, &Failure{Err: err, IsFinal: true}
	}
	sending, stop := context.WithCancel(ctx)
	defer stop()
	began := time.Now()
	req, err := def.request(sending, run, secrets, began)
	if err != nil {
		return nil, &Failure{Err: err, IsFinal: true}
	}
	hide := newRedactor(secrets)
	resp, err := h.client.Do(req)
	if err != nil {
		return &Result{Duration: time.Since(began)}, describeHTTP(ctx, err, hide)
	}
	defer time.AfterFunc(maxBodyTime, stop).Stop()
	// If the body has not been read to its end by now, closing it ends the connection.
	defer func() { _ = resp.Body.Close() }()
	result := &Result{StatusCode: resp.StatusCode}
	result.Output, result.OutputIsTruncated = readOutput(resp, hide)
	result.Duration = time.Since(began)
	return result, def.judge(resp, time.Now())
}
