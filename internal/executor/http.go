package executor

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"punctual/internal/outbound"
)

// HTTPConfig is what `http` targets need. Public addresses on ports 80 and 443 can
// always be called.
type HTTPConfig struct {
	// AllowCIDRs are private or reserved networks that can be called, too.
	AllowCIDRs []netip.Prefix
	// AllowPorts are ports that can be called, too, on every address that can be called.
	AllowPorts []uint16
	// Resolver looks names up. The default is that of the system.
	Resolver *net.Resolver
	// Connections knows the connections that targets name. Default: there are none.
	Connections Connections
}

// HTTP executes a run by sending a request to the URL of its target.
type HTTP struct {
	client      *outbound.Client
	connections Connections
}

// NewHTTP returns an executor that keeps its connections for later runs.
func NewHTTP(cfg HTTPConfig) *HTTP {
	return &HTTP{
		client:      outbound.New(outbound.Config{AllowCIDRs: cfg.AllowCIDRs, AllowPorts: cfg.AllowPorts, Resolver: cfg.Resolver}),
		connections: cfg.Connections,
	}
}

// maxBodyTime is how long the body of an answer is read once its headers have arrived.
const maxBodyTime = time.Second

// Execute sends the request and reads the beginning of the answer. The status decides whether the
// attempt succeeds, even if the body does not end or breaks off.
func (h *HTTP) Execute(ctx context.Context, run Run) (*Result, error) {
	def, secrets, err := decodeHTTP(run.Definition, run.Secrets)
	if err != nil {
		return nil, &Failure{Err: err, IsFinal: true}
	}
	if faults := def.fill(run.values()); faults != nil {
		return nil, &Failure{Err: errors.New("the target's " + faults[0].Field + " " + faults[0].Detail), IsFinal: true}
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
	result.Output, result.OutputIsTruncated = readOutput(resp.Header, resp.Body, hide)
	result.Duration = time.Since(began)
	return result, def.judge(resp, time.Now())
}
