package executor

import (
	"context"
	"errors"
	"net"
	"net/http"
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
	// Signer signs the tokens of connections that prove by them who sends a request. Default: none
	// can.
	Signer Signer
}

// HTTP executes a run by sending a request to the URL of its target, or to a path of its
// connection.
type HTTP struct {
	client      *outbound.Client
	connections Connections
	signer      Signer
	// direct is for targets without a connection.
	direct  *caller
	callers callers
}

// NewHTTP returns an executor that keeps its connections for later runs.
func NewHTTP(cfg HTTPConfig) *HTTP {
	client := outbound.New(outbound.Config{AllowCIDRs: cfg.AllowCIDRs, AllowPorts: cfg.AllowPorts, Resolver: cfg.Resolver})
	return &HTTP{
		client: client, connections: cfg.Connections, signer: cfg.Signer,
		direct: &caller{home: client, elsewhere: client},
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
	by, err := h.callerFor(ctx, run.Namespace, def.Connection)
	if err != nil {
		return nil, err
	}
	if err := by.addTo(&def, &secrets); err != nil {
		return nil, &Failure{Err: err, IsFinal: true}
	}
	began := time.Now()
	sending, stop := context.WithCancel(ctx)
	defer stop()
	x := exchange{HTTP: h, caller: by, def: &def, secrets: secrets, run: &run, hide: newRedactor(secrets)}
	resp, err := x.do(sending)
	if err != nil {
		return &Result{Duration: time.Since(began)}, x.describe(ctx, err)
	}
	defer time.AfterFunc(maxBodyTime, stop).Stop()
	// If the body has not been read to its end by now, closing it ends the connection.
	defer func() { _ = resp.Body.Close() }()
	result := &Result{StatusCode: resp.StatusCode}
	result.Output, result.OutputIsTruncated = readOutput(resp.Header, resp.Body, x.hide)
	run.Trace.end(resp)
	result.Duration = time.Since(began)
	return result, def.judge(resp, time.Now())
}

// exchange is the request of one attempt and its answer, with the redirects between them.
type exchange struct {
	*HTTP
	*caller
	def     *httpDefinition
	secrets httpSecrets
	run     *Run
	hide    redactor
	// authorized is the header that authorize has added.
	authorized string
	// redirects counts those that were followed, and hasLeft is whether one led to another host.
	redirects int
	hasLeft   bool
}

// do sends the request, with credentials if the connection needs them. If an access token that was
// kept is refused, it sends the request again, once, with a new one: what is refused for its
// credentials is not executed.
func (x *exchange) do(ctx context.Context) (*http.Response, error) {
	for isRepeated := false; ; isRepeated = true {
		proof, err := x.authorize(ctx)
		if err != nil {
			return nil, err
		}
		resp, err := x.send(ctx)
		if err != nil || proof == nil || x.hasLeft {
			return resp, err
		}
		if resp.StatusCode != http.StatusUnauthorized {
			x.tokens.worked(proof)
			return resp, nil
		}
		if isRepeated || !x.tokens.refused(proof) {
			return resp, nil
		}
		_ = resp.Body.Close()
	}
}

// send sends the request, and follows redirects if the target says so.
func (x *exchange) send(ctx context.Context) (*http.Response, error) {
	x.redirects, x.hasLeft = 0, false
	req, err := x.def.request(ctx, *x.run, x.secrets, time.Now())
	if err != nil {
		return nil, &Failure{Err: err, IsFinal: true}
	}
	for client := x.home; ; {
		x.run.Trace.begin(req)
		resp, err := client.Do(req)
		x.run.Trace.end(resp)
		if err != nil || !x.def.isToFollow(resp) {
			return resp, err
		}
		_ = resp.Body.Close()
		if x.redirects++; x.redirects > maxRedirects {
			return nil, &Failure{Err: errTooManyRedirects}
		}
		if req, err = x.follow(req, resp.Header.Get("Location")); err != nil {
			return nil, err
		}
		if x.hasLeft {
			client = x.elsewhere
		}
	}
}

// describe returns the error of an attempt without an answer, for people to read.
func (x *exchange) describe(ctx context.Context, err error) error {
	if failure, ok := errors.AsType[*Failure](err); ok {
		return failure
	}
	text := describeHTTP(ctx, err, x.hide)
	if x.redirects > 0 {
		return &Failure{Err: errors.New("after a redirect: " + text.Error())}
	}
	// Nobody was called at an address that is refused. A host that does not exist is not told from
	// one that leads there.
	_, isRefused := errors.AsType[*outbound.RefusedError](err)
	return &Failure{Err: text, IsUnreachable: !isRefused}
}
