package api

import (
	"cmp"
	"context"
	"errors"
	"net/http"

	"punctual/gen/server"
	"punctual/internal/access"
	"punctual/internal/audit"
	"punctual/internal/calendars"
	"punctual/internal/connections"
	"punctual/internal/database"
	"punctual/internal/eventstream"
	"punctual/internal/idempotency"
	"punctual/internal/jobs"
	"punctual/internal/keys"
	"punctual/internal/namespaces"
)

// What a problem may be, besides the conflicts that package jobs names.
const (
	invalidRequest       jobs.Code = "invalid-request"
	credentialsRequired  jobs.Code = "credentials-required"
	credentialsInvalid   jobs.Code = "credentials-invalid"
	scopeRequired        jobs.Code = "scope-required"
	hostNotAllowed       jobs.Code = "host-not-allowed"
	crossOriginRequest   jobs.Code = "cross-origin"
	serviceWideRequired  jobs.Code = "service-wide-required"
	pathNotFound         jobs.Code = "path-not-found"
	jobNotFound          jobs.Code = "job-not-found"
	runNotFound          jobs.Code = "run-not-found"
	keyNotFound          jobs.Code = "key-not-found"
	connectionNotFound   jobs.Code = "connection-not-found"
	calendarNotFound     jobs.Code = "calendar-not-found"
	queueNotAllowed      jobs.Code = "queue-not-allowed"
	namespaceNotFound    jobs.Code = "namespace-not-found"
	versionNotFound      jobs.Code = "version-not-found"
	versionChanged       jobs.Code = "version-changed"
	jobExists            jobs.Code = "job-exists"
	jobKeyExists         jobs.Code = "job-key-exists"
	methodNotAllowed     jobs.Code = "method-not-allowed"
	leaseExpired         jobs.Code = "lease-expired"
	staleToken           jobs.Code = "stale-token"
	idempotencyKeyInUse  jobs.Code = "idempotency-key-in-use"
	idempotencyKeyReused jobs.Code = "idempotency-key-reused"
	keyAlreadyCreated    jobs.Code = "key-already-created"
	answerLost           jobs.Code = "answer-lost"
	bodyTooLarge         jobs.Code = "body-too-large"
	unsupportedMediaType jobs.Code = "unsupported-media-type"
	internalError        jobs.Code = "internal-error"
	databaseUnavailable  jobs.Code = "database-unavailable"
	databaseOverloaded   jobs.Code = "database-overloaded"
	tooManyRequests      jobs.Code = "too-many-requests"
	overloaded           jobs.Code = "overloaded"
	codeNotReady         jobs.Code = "not-ready"
	issuerUnavailable    jobs.Code = "issuer-unavailable"
	namespaceMoving      jobs.Code = "namespace-moving"
)

// problems has the status of each problem, and its detail unless the request decides that.
var problems = map[jobs.Code]struct {
	status int
	detail string
}{
	invalidRequest: {http.StatusBadRequest, "The request is not valid."},
	credentialsRequired: {
		http.StatusUnauthorized, "Send an API key or an access token: Authorization: Bearer <key>.",
	},
	credentialsInvalid: {
		http.StatusUnauthorized, "The key or access token is not valid: it is unknown, expired or revoked, or the header " +
			"is not of the form Authorization: Bearer <key>.",
	},
	scopeRequired: {http.StatusForbidden, ""},
	hostNotAllowed: {
		http.StatusForbidden, "The service asks for no key, so it is reached only as localhost or by a loopback " +
			"address. Its operator may allow other names (ALLOWED_HOSTS).",
	},
	crossOriginRequest: {
		http.StatusForbidden, "A page of another origin sent this request. The service asks for no key, so it refuses that.",
	},
	serviceWideRequired: {
		http.StatusForbidden, "Only a caller who is not bound to one namespace may do this.",
	},
	pathNotFound:       {http.StatusNotFound, "There is nothing at this path."},
	jobNotFound:        {http.StatusNotFound, "There is no job with this id or key."},
	runNotFound:        {http.StatusNotFound, "There is no run with this id."},
	keyNotFound:        {http.StatusNotFound, "There is no key with this id."},
	connectionNotFound: {http.StatusNotFound, "There is no connection with this key."},
	calendarNotFound:   {http.StatusNotFound, "There is no calendar with this key."},
	queueNotAllowed:    {http.StatusForbidden, "The key may serve some queues only, and this is none of them."},
	namespaceNotFound:  {http.StatusNotFound, "There is no namespace with this name."},
	methodNotAllowed:   {http.StatusMethodNotAllowed, ""},
	versionNotFound: {
		http.StatusNotFound, "There is no such version of the job, or it is not kept any more.",
	},
	versionChanged:             {http.StatusPreconditionFailed, ""},
	jobExists:                  {http.StatusPreconditionFailed, ""},
	jobKeyExists:               {http.StatusConflict, ""},
	jobs.RunNotEnded:           {http.StatusConflict, ""},
	jobs.RunHasSucceeded:       {http.StatusConflict, ""},
	jobs.RunHasEnded:           {http.StatusConflict, ""},
	jobs.JobDeleted:            {http.StatusConflict, ""},
	jobs.SecretsCannotBeOpened: {http.StatusConflict, ""},
	jobs.NamespaceSuspended:    {http.StatusConflict, ""},
	jobs.TooManyJobs:           {http.StatusConflict, ""},
	calendars.Exists:           {http.StatusConflict, ""},
	calendars.InUse:            {http.StatusConflict, ""},
	connections.Exists:         {http.StatusConflict, ""},
	connections.InUse:          {http.StatusConflict, ""},
	namespaces.Exists:          {http.StatusConflict, ""},
	namespaces.NotEmpty:        {http.StatusConflict, ""},
	namespaces.IsDefault:       {http.StatusConflict, ""},
	leaseExpired:               {http.StatusConflict, "The lease has expired, or holds no runs any more."},
	staleToken: {
		http.StatusConflict, "The run is not leased with this token: it has ended, or its lease has expired.",
	},
	idempotencyKeyInUse: {
		http.StatusConflict, "A request with this Idempotency-Key is being served. Repeat it later to get its answer.",
	},
	idempotencyKeyReused: {
		http.StatusUnprocessableEntity, "Another request had this Idempotency-Key. Take a new one for each thing to be done.",
	},
	keyAlreadyCreated: {http.StatusConflict, ""},
	answerLost: {
		http.StatusConflict, "The first request with this Idempotency-Key has changed something, but its answer is lost. " +
			"The audit tells what it has changed. For the rest, send a request with a new key.",
	},
	bodyTooLarge:         {http.StatusRequestEntityTooLarge, ""},
	unsupportedMediaType: {http.StatusUnsupportedMediaType, "The body must be application/json."},
	tooManyRequests: {
		http.StatusTooManyRequests, "Too many keys or access tokens that are not valid came from this address. Try again later.",
	},
	overloaded:          {http.StatusServiceUnavailable, "The instance is serving as many requests as it can. Try again."},
	internalError:       {http.StatusInternalServerError, "The service failed. The request id leads to the log."},
	databaseUnavailable: {http.StatusServiceUnavailable, ""},
	databaseOverloaded:  {http.StatusServiceUnavailable, ""},
	codeNotReady:        {http.StatusServiceUnavailable, ""},
	namespaceMoving: {
		http.StatusServiceUnavailable, "The namespace is being moved to another cell, so nothing can be changed for a moment. Try again.",
	},
	issuerUnavailable: {
		http.StatusServiceUnavailable,
		"The identity provider cannot be reached, so its tokens cannot be verified. Try again. API keys go on working.",
	},
}

// problem returns a problem, with its own detail or, if that is empty, with the one of its code.
func problem(ctx context.Context, code jobs.Code, detail string, errs ...server.FieldError) server.Problem {
	status := problems[code].status
	p := server.Problem{
		Type: "about:blank", Title: http.StatusText(status), Status: int32(status), Code: string(code),
		Detail: cmp.Or(detail, problems[code].detail),
	}
	if id := requestID(ctx); id != "" {
		p.RequestId = &id
	}
	if len(errs) > 0 {
		p.Errors = &errs
	}
	return p
}

// errQuery is the error for a parameter of the query that only its handler can judge.
type errQuery struct{ field server.FieldError }

func (e errQuery) Error() string { return e.field.Field + " " + e.field.Detail }

func invalidQuery(name string, code jobs.Code, detail string) error {
	return errQuery{server.FieldError{In: server.FieldErrorInQuery, Field: name, Code: string(code), Detail: detail}}
}

// problemOf returns the problem that an error stands for. An error that
// is not expected is to be logged.
func problemOf(ctx context.Context, err error) (p server.Problem, isExpected bool) {
	if invalid, ok := errors.AsType[*jobs.Invalid](err); ok {
		return problem(ctx, invalidRequest, "", encodeFields(invalid.Fields)...), true
	}
	if query, ok := errors.AsType[errQuery](err); ok {
		return problem(ctx, invalidRequest, "", query.field), true
	}
	if scope, ok := errors.AsType[errScope](err); ok {
		return problem(ctx, scopeRequired, scope.Error()), true
	}
	if conflict, ok := errors.AsType[*jobs.Conflict](err); ok {
		return problem(ctx, conflict.Code, conflict.Detail), true
	}
	if changed, ok := errors.AsType[*jobs.VersionChanged](err); ok {
		return problem(ctx, versionChanged, changed.Error()), true
	}
	if exists, ok := errors.AsType[*jobs.Exists](err); ok {
		return problem(ctx, jobExists, exists.Error()), true
	}
	if exists, ok := errors.AsType[*jobs.KeyExists](err); ok {
		return problem(ctx, jobKeyExists, exists.Error(), encodeFields(exists.Fields)...), true
	}
	switch {
	case errors.Is(err, eventstream.ErrTooMany):
		return problem(ctx, overloaded, "As many follow events as may. Try again."), true
	case errors.Is(err, errCellNotOpen):
		return problem(ctx, codeNotReady, "The instance has not opened the cell of the namespace yet. Try again."), true
	case errors.Is(err, eventstream.ErrClosed):
		return problem(ctx, codeNotReady, "The instance is about to stop. Try again."), true
	case errors.Is(err, eventstream.ErrUnheard):
		return problem(ctx, databaseUnavailable, "The instance hears no events at the moment. Try again."), true
	case errors.Is(err, jobs.ErrVersionNotFound):
		return problem(ctx, versionNotFound, ""), true
	case errors.Is(err, jobs.ErrNotFound):
		return problem(ctx, jobNotFound, ""), true
	case errors.Is(err, jobs.ErrRunNotFound):
		return problem(ctx, runNotFound, ""), true
	case errors.Is(err, access.ErrNoGrant):
		return problem(ctx, scopeRequired, "The access token is valid, but no grant of this service (OIDC_GRANTS) matches its claims."), true
	case errors.Is(err, access.ErrIssuerUnavailable):
		return problem(ctx, issuerUnavailable, ""), true
	case errors.Is(err, idempotency.ErrReused):
		return problem(ctx, idempotencyKeyReused, ""), true
	case errors.Is(err, idempotency.ErrInUse), errors.Is(err, audit.ErrSuperseded):
		return problem(ctx, idempotencyKeyInUse, ""), true
	case errors.Is(err, access.ErrMoving):
		return problem(ctx, namespaceMoving, ""), true
	case errors.Is(err, calendars.ErrNotFound):
		return problem(ctx, calendarNotFound, ""), true
	case errors.Is(err, connections.ErrNotFound):
		return problem(ctx, connectionNotFound, ""), true
	case errors.Is(err, keys.ErrNotFound):
		return problem(ctx, keyNotFound, ""), true
	case errors.Is(err, access.ErrQueueNotAllowed):
		return problem(ctx, queueNotAllowed, ""), true
	case errors.Is(err, access.ErrNoNamespace):
		return problem(ctx, namespaceNotFound, ""), true
	case errors.Is(err, access.ErrNoCredentials):
		return problem(ctx, credentialsRequired, ""), true
	case errors.Is(err, access.ErrExpired):
		return problem(ctx, credentialsInvalid, "The key or access token has expired."), true
	case errors.Is(err, access.ErrRevoked):
		return problem(ctx, credentialsInvalid, "The key is revoked."), true
	case errors.Is(err, access.ErrInvalid):
		return problem(ctx, credentialsInvalid, ""), true
	}
	if trouble := database.Diagnose(err); trouble == database.Overloaded {
		return problem(ctx, databaseOverloaded, troubles[trouble]), false
	} else if detail, ok := troubles[trouble]; ok {
		return problem(ctx, databaseUnavailable, detail), false
	}
	return problem(ctx, internalError, ""), false
}
