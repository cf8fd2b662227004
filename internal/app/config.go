package app

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"punctual/internal/access/oidc"
	"punctual/internal/secrets"
)

// Role says which parts of the service an instance runs.
type Role string

// The roles. Instances of all roles share one database, and at least one of them has to poll.
const (
	RoleAll    Role = "all"
	RoleAPI    Role = "api"
	RolePoller Role = "poller"
)

// Auth says whether callers have to prove who they are.
type Auth string

// The values of AUTH. Empty means off on a loopback address, and required on any other.
const (
	AuthRequired Auth = "required"
	AuthOff      Auth = "off"
)

// Metrics says who gets the metrics.
type Metrics string

// The values of METRICS. Empty means on.
const (
	MetricsOn   Metrics = "on"
	MetricsOpen Metrics = "open"
	MetricsOff  Metrics = "off"
)

// Config is everything that can be configured. The tags make each field a flag, an environment
// variable and a help text.
type Config struct {
	Database DatabaseConfig `embed:""`

	Role Role   `help:"What this instance does: serve the API, poll and execute, or both." enum:"all,api,poller" default:"all" env:"ROLE"`
	Host string `help:"The address to listen on." default:"127.0.0.1" env:"HOST"`
	Port uint16 `help:"The port to listen on; 0 picks a free one." default:"3000" env:"PORT"`

	Auth         Auth     `help:"Whether callers need an API key or an access token: required or off. Off is allowed on a loopback address only, and is the default there; on any other address the default is required." enum:",required,off" default:"" env:"AUTH"`
	AllowedHosts []string `help:"With AUTH=off, the names, besides those of the loopback addresses, under which requests may reach the service: the Host header must be one of them." env:"ALLOWED_HOSTS"`

	MaxConnections        int `help:"How many connections of clients may be open. Each worker that waits has one. Others wait until one is closed." default:"16000" env:"MAX_CONNECTIONS"`
	MaxRequestsInFlight   int `help:"How many API requests this instance serves at a time; more get 503. Workers that wait do not count." default:"1000" env:"MAX_REQUESTS_IN_FLIGHT"`
	AuthFailuresPerMinute int `help:"How many keys and access tokens that are not valid an address may send in a minute; more get 429." default:"600" env:"AUTH_FAILURES_PER_MINUTE"`

	OIDCIssuer   string      `name:"oidc-issuer" help:"The URL of an OpenID Connect issuer whose access tokens are accepted besides API keys, as in their claim iss." env:"OIDC_ISSUER"`
	OIDCAudience string      `name:"oidc-audience" help:"What an access token has to have in its claim aud." env:"OIDC_AUDIENCE"`
	OIDCGrants   oidc.Grants `name:"oidc-grants" help:"Which claims give which rights: a JSON array of objects with claim, value, namespace (* is all) and scopes." env:"OIDC_GRANTS"`

	Pages PagesConfig `embed:""`

	PollInterval      time.Duration `help:"How often to check the database for due runs that nobody announced. Normal punctuality does not depend on it." default:"5s" env:"POLL_INTERVAL"`
	MaxConcurrentRuns int           `help:"How many runs this instance executes at the same time, for each cell." default:"2000" env:"MAX_CONCURRENT_RUNS"`

	EngineConnections   int           `help:"Database connections for claiming, completing and leasing runs. Default: pool_max_conns of DATABASE_URL, or 10. An instance uses six more: for its lease, for notifications, for /readyz, for /metrics, and two to find out who makes a request. For each further cell, it uses as many again, and one for the lease." env:"ENGINE_CONNECTIONS"`
	APIConnections      int           `name:"api-connections" help:"Database connections for API requests, for each cell. Default: pool_max_conns of DATABASE_URL, or 10." env:"API_CONNECTIONS"`
	APIStatementTimeout time.Duration `name:"api-statement-timeout" help:"How long a database statement of an API request may take. After that the request is answered with 503." default:"10s" env:"API_STATEMENT_TIMEOUT"`

	SecretKeys secrets.Keyring `help:"The keys that encrypt secrets, as id:key,id:key, each key 32 bytes in base64. The first key encrypts, all of them decrypt. Set the environment variable rather than the flag, because other users of the machine can see flags." env:"SECRET_KEYS"`

	OutboundAllowCIDRs []netip.Prefix `name:"outbound-allow-cidrs" help:"Networks that http targets may call although they are not public." env:"OUTBOUND_ALLOW_CIDRS"`
	OutboundAllowPorts []uint16       `name:"outbound-allow-ports" help:"Ports that http targets may call in addition to 80 and 443." env:"OUTBOUND_ALLOW_PORTS"`

	Metrics     Metrics `help:"Whether /metrics serves metrics for Prometheus: on, open or off. Where callers need a key, on asks for one that has the scope metrics:read and is not bound to a namespace; open asks for none." enum:",on,open,off" default:"on" env:"METRICS"`
	MetricsPort uint16  `help:"A port of its own for /metrics, where nobody needs a key: keep others from it by the network. 0: the service's own port serves it." default:"0" env:"METRICS_PORT"`

	LogRuns bool `help:"Log each run that ends. Failed runs are logged in any case." env:"LOG_RUNS"`

	RunRetentionDays int `help:"How many days to keep runs; 0 keeps them for ever. Whole days (UTC) are dropped." default:"30" env:"RUN_RETENTION_DAYS"`

	AuditRetentionDays int `help:"How many days to keep the audit, and the versions of jobs that were replaced; 0 keeps them for ever." default:"365" env:"AUDIT_RETENTION_DAYS"`

	ShutdownGrace time.Duration `help:"How long runs and requests may take to finish after SIGTERM. Runs that take longer are given back, and another instance retries them if attempts remain." default:"20s" env:"SHUTDOWN_GRACE"`
	ShutdownDelay time.Duration `help:"How long to keep serving after /readyz has begun to answer 503, so that load balancers notice. It is part of the grace." default:"0s" env:"SHUTDOWN_DELAY"`
}

// maxRetentionDays is a hundred years. A much larger number would reach dates before year 1, whose
// partition names no longer sort, so that every partition would be dropped.
const maxRetentionDays = 36500

// Validate returns an error that names each value that is not allowed. Zero means default.
func (c Config) Validate() error {
	var errs []error
	for name, value := range map[string]int64{
		"POLL_INTERVAL": int64(c.PollInterval), "MAX_CONCURRENT_RUNS": int64(c.MaxConcurrentRuns),
		"ENGINE_CONNECTIONS": int64(c.EngineConnections), "API_CONNECTIONS": int64(c.APIConnections),
		"API_STATEMENT_TIMEOUT": int64(c.APIStatementTimeout),
		"RUN_RETENTION_DAYS":    int64(c.RunRetentionDays), "AUDIT_RETENTION_DAYS": int64(c.AuditRetentionDays), "SHUTDOWN_GRACE": int64(c.ShutdownGrace),
		"SHUTDOWN_DELAY": int64(c.ShutdownDelay), "MAX_CONNECTIONS": int64(c.MaxConnections),
		"MAX_REQUESTS_IN_FLIGHT": int64(c.MaxRequestsInFlight), "AUTH_FAILURES_PER_MINUTE": int64(c.AuthFailuresPerMinute),
	} {
		if value < 0 {
			errs = append(errs, fmt.Errorf("%s must not be negative", name))
		}
	}
	if u, err := url.Parse(c.Database.ReadURL); err != nil || strings.Contains(u.Host, ",") {
		errs = append(errs, errors.New("DATABASE_READ_URL must name one server: it is not known of which of several an answer is"))
	}
	if c.RunRetentionDays > maxRetentionDays {
		errs = append(errs, fmt.Errorf("RUN_RETENTION_DAYS must be at most %d; 0 keeps runs for ever", maxRetentionDays))
	}
	if c.AuditRetentionDays > maxRetentionDays {
		errs = append(errs, fmt.Errorf("AUDIT_RETENTION_DAYS must be at most %d; 0 keeps the audit for ever", maxRetentionDays))
	}
	if err := c.SecretKeys.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("SECRET_KEYS: %w", err))
	}
	if err := c.OIDCGrants.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("OIDC_GRANTS: %w", err))
	}
	if err := oidc.Validate(c.OIDCIssuer, c.OIDCAudience, c.OIDCGrants); err != nil {
		errs = append(errs, err)
	}
	if err := c.Pages.validate(c.OIDCIssuer); err != nil {
		errs = append(errs, err)
	}
	switch c.Auth {
	case "", AuthRequired:
	case AuthOff:
		if !isLoopback(c.Host) {
			errs = append(errs, fmt.Errorf("HOST %q can be reached by other machines, so AUTH=off would let everybody in: "+
				"leave AUTH out or set AUTH=required, or set HOST to a loopback address such as 127.0.0.1", c.Host))
		}
	default:
		errs = append(errs, fmt.Errorf("AUTH is %q, which is neither required nor off", string(c.Auth)))
	}
	switch c.Metrics {
	case "", MetricsOn, MetricsOpen, MetricsOff:
	default:
		errs = append(errs, fmt.Errorf("METRICS is %q, which is none of on, open and off", string(c.Metrics)))
	}
	if c.MetricsPort != 0 && c.MetricsPort == c.Port {
		errs = append(errs, fmt.Errorf("METRICS_PORT is %d like PORT: leave it out, or choose another", c.MetricsPort))
	}
	for _, host := range c.AllowedHosts {
		if strings.ContainsAny(host, ":/* ") && !isAddress(host) || host == "" {
			errs = append(errs, fmt.Errorf("ALLOWED_HOSTS: %q must be a name or an address, without a port and without wildcards", host))
		}
	}
	return errors.Join(errs...)
}

// needsAuth reports whether callers need a key or an access token.
func (c Config) needsAuth() bool {
	return c.Auth == AuthRequired || c.Auth == "" && !isLoopback(c.Host)
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && ip.IsLoopback())
}

// DatabaseConfig says where the database is.
type DatabaseConfig struct {
	URL       string `name:"database-url" help:"The PostgreSQL database, as postgres://user:password@host:port/name." env:"DATABASE_URL"`
	DirectURL string `name:"database-direct-url" help:"The same database without a connection pooler in between. Needed for migrations and notifications if DATABASE_URL goes through a pooler in transaction mode." env:"DATABASE_DIRECT_URL"`
	ReadURL   string `name:"database-read-url" help:"A read replica of the database, for lists and statistics. Default: they are read where everything else is." env:"DATABASE_READ_URL"`
	Embedded  bool   `help:"Start the built-in PostgreSQL, unless DATABASE_URL names a database." env:"EMBEDDED"`
	DataDir   string `help:"Where the built-in PostgreSQL keeps its data. Default: .punctual in the working directory, or /var/lib/punctual for root." env:"PUNCTUAL_DATA_DIR"`
	BinDir    string `name:"postgres-bin" help:"The directory of the programs postgres and initdb for the built-in PostgreSQL. Default: the newest version found in the usual places." env:"PUNCTUAL_POSTGRES_BIN"`
}
