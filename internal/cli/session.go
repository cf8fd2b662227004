package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/go-retryablehttp"

	"punctual/gen/client"
)

// Globals are the flags of each command that asks a service.
type Globals struct {
	URL       string `name:"url" group:"service" placeholder:"URL" help:"The URL of the service. Environment: PUNCTUAL_URL. Default: http://localhost:3000."`
	Key       string `group:"service" placeholder:"KEY" help:"The API key. Others on this machine can see flags: PUNCTUAL_KEY or a profile is better."`
	Namespace string `group:"service" placeholder:"NAME" help:"The namespace, for keys that are not bound to one. Environment: PUNCTUAL_NAMESPACE."`
	Profile   string `group:"service" placeholder:"NAME" help:"The profile in the configuration file. Environment: PUNCTUAL_PROFILE."`
	Output    string `group:"output" short:"o" enum:"table,json,yaml,name" default:"table" help:"The form of the output: ${enum}. The form name is for pipes: keys or ids, one a line."`
}

// Session is a connection to a service, and where to write what it answers.
type Session struct {
	*client.Client
	*Console
	// Namespace is the one that the user has named, if any.
	Namespace string
	// Output is the form of the output.
	Output string
}

const (
	// maxRetries is how often a request is repeated. With the waits below, that takes 4 s, unless
	// the service names another time.
	maxRetries         = 4
	minWait, maxWait   = 250 * time.Millisecond, 2 * time.Second
	maxRetryAfter      = time.Minute
	requestTakesAtMost = 2 * time.Minute
)

// ProvideSession connects to the service. Kong calls it for commands that take a Session.
func (g *Globals) ProvideSession(c *Console) (*Session, error) {
	at, err := g.locate(c)
	if err != nil {
		return nil, err
	}
	if u, err := url.Parse(at.url); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, usage("the URL of the service has to begin with http:// or https://")
	}
	service, err := client.NewClient(at.url, client.WithHTTPClient(sender(requestTakesAtMost)), client.WithRequestEditorFn(
		func(_ context.Context, r *http.Request) error {
			if at.key != "" {
				r.Header.Set("Authorization", "Bearer "+at.key)
			}
			if at.namespace != "" {
				r.Header.Set("Punctual-Namespace", at.namespace)
			}
			if r.Method == http.MethodPost { // so that it can be repeated when its answer was lost
				r.Header.Set("Idempotency-Key", uuid.NewString())
			}
			return nil
		}))
	if err != nil {
		return nil, fmt.Errorf("the client of the service: %w", err)
	}
	return &Session{Client: service, Console: c, Namespace: at.namespace, Output: g.Output}, nil
}

// sender returns an HTTP client that repeats what can be repeated: when there was no connection,
// and when the service asks to come back later (429 and 503). A request takes no longer than
// atMost; zero is no limit.
func sender(atMost time.Duration) *http.Client {
	c := retryablehttp.NewClient()
	c.Logger = nil
	c.RetryMax, c.RetryWaitMin, c.RetryWaitMax = maxRetries, minWait, maxWait
	c.HTTPClient.Timeout = atMost
	c.ErrorHandler = retryablehttp.PassthroughErrorHandler
	c.CheckRetry = func(ctx context.Context, r *http.Response, err error) (bool, error) {
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		if err == nil {
			return r.StatusCode == http.StatusTooManyRequests || r.StatusCode == http.StatusServiceUnavailable, nil
		}
		again, _ := retryablehttp.DefaultRetryPolicy(ctx, r, err)
		return again, nil
	}
	c.Backoff = func(low, high time.Duration, attempt int, r *http.Response) time.Duration {
		return min(retryablehttp.DefaultBackoff(low, high, attempt, r), maxRetryAfter)
	}
	// A key is for the service that was named, and not for one that it points to.
	c.HTTPClient.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c.StandardClient()
}

// unreachable says that the service could not be asked.
type unreachable struct {
	host string
	err  error
}

func (e *unreachable) Error() string {
	return fmt.Sprintf("the service at %s cannot be reached: %s", e.host, cause(e.err))
}
func (e *unreachable) Unwrap() error { return e.err }

// cause returns the innermost error, which says what happened without the URL and its query.
func cause(err error) error {
	if inner := (*url.Error)(nil); errors.As(err, &inner) {
		return cause(inner.Err)
	}
	return err
}
