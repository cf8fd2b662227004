package api

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"punctual/gen/server"
	"punctual/internal/access"
	"punctual/internal/ratelimit"
)

// limit is how many requests somebody may make in a second.
type limit struct {
	policy    string // the name of the limit in the fields
	of        string // who has it, for people
	name      string // who has it
	perSecond *int32 // nil: nobody has it
}

func limitOfKey(c access.Caller) limit {
	if strings.HasPrefix(c.Actor, addressMark) {
		return limit{policy: "address", of: "address", name: c.Actor, perSecond: c.RequestsPerSecond}
	}
	return limit{policy: "key", of: "key", name: c.Actor, perSecond: c.RequestsPerSecond}
}

// limitOfNamespace does not hold for callers with a key or an access token for all namespaces: a
// team that uses up its limit must not lock the operator out of its namespace. Callers without
// credentials are in no namespace.
func limitOfNamespace(c access.Caller) limit {
	if c.IsServiceWide && !c.IsAnonymous() || strings.HasPrefix(c.Actor, addressMark) {
		return limit{}
	}
	return limit{policy: "namespace", of: "namespace " + c.Namespace, name: c.Namespace, perSecond: c.Limits.RequestsPerSecond}
}

// limitRate refuses what exceeds a limit, which holds for this instance. Whoever has one learns
// from each answer what is left of it, in the fields of draft-ietf-httpapi-ratelimit-headers.
func limitRate(of func(access.Caller) limit, errs errorWriter) func(http.Handler) http.Handler {
	var requests ratelimit.Requests
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			l := of(access.From(r.Context()))
			if l.perSecond == nil {
				next.ServeHTTP(w, r)
				return
			}
			left, wait := requests.Take(time.Now(), l.name, int(*l.perSecond))
			w.Header().Add("RateLimit-Policy", fmt.Sprintf("%q;q=%d;w=1", l.policy, *l.perSecond))
			w.Header().Add("RateLimit", fmt.Sprintf("%q;r=%d;t=1", l.policy, left))
			if wait > 0 {
				requests := "requests"
				if *l.perSecond == 1 {
					requests = "request"
				}
				errs.later(w, problem(r.Context(), tooManyRequests, fmt.Sprintf("The %s may make %d %s in a second.", l.of, *l.perSecond, requests)), wait)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// errTooMany says that an address has sent too many credentials that were not valid, and after how
// long it may send others.
type errTooMany struct{ wait time.Duration }

func (errTooMany) Error() string { return access.ErrTooManyAttempts.Error() }
func (errTooMany) Unwrap() error { return access.ErrTooManyAttempts }

// authenticateFrom finds out who makes a request. Credentials that are not valid are counted by the
// address that they come from; there are no others to be told apart by. Credentials that a verifier
// knows are accepted whatever else comes from their address.
func authenticateFrom(attempts *ratelimit.Attempts, who *access.Authenticator, r *http.Request) (access.Caller, error) {
	from, _ := netip.ParseAddrPort(r.RemoteAddr) // one that cannot be read is an address like others
	var end func(time.Time, bool)
	begin := func() (err error) {
		if end != nil {
			return nil // it has begun
		}
		var wait time.Duration
		if end, wait = attempts.Begin(time.Now(), from.Addr()); end == nil {
			return errTooMany{wait}
		}
		return nil
	}
	caller, err := who.Authenticate(access.WithAttempts(r.Context(), begin), r.Header.Values("Authorization"))
	if errors.Is(err, access.ErrInvalid) {
		if tooMany := begin(); tooMany != nil { // what nobody had to look up counts, too
			err = tooMany
		}
	}
	if end != nil {
		end(time.Now(), errors.Is(err, access.ErrInvalid))
	}
	return caller, err
}

// boundInFlight refuses requests while as many as that are being served. Requests whose body is
// still being read do not count, because slow clients would keep others out, and neither do workers
// that wait, nor those who follow events, who have a bound of their own.
func boundInFlight(limit int, errs errorWriter) func(http.Handler) http.Handler {
	var inFlight atomic.Int64
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if operation := routed(r); operation == waitForRuns || operation == followEvents {
				next.ServeHTTP(w, r)
				return
			}
			defer inFlight.Add(-1)
			if inFlight.Add(1) > int64(limit) {
				errs.later(w, problem(r.Context(), overloaded, ""), time.Second)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// waitForRuns is the operation of workers that wait until a run is due.
const waitForRuns = "POST /api/v1/queues/{queue}/leases"

// later answers a request that may be repeated after some time, in whole seconds.
func (e errorWriter) later(w http.ResponseWriter, p server.Problem, wait time.Duration) {
	w.Header().Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(wait.Seconds())))))
	e.write(w, p)
}
