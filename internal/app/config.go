package app

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"punctual/internal/secrets"
)

// Role says which parts of the service an instance runs.
type Role string

// The roles. Instances of any roles share one database; at least one has to poll.
const (
	RoleAll    Role = "all"
	RoleAPI    Role = "api"
	RolePoller Role = "poller"
)

// Config is everything that can be set. The tags make it flags, environment variables and help texts.
type Config struct {
	Database DatabaseConfig `embed:""`

	Role Role   `help:"What this instance does: the API, the polling, or both." enum:"all,api,poller" default:"all" env:"ROLE"`
	Host string `help:"The address to listen on." default:"127.0.0.1" env:"HOST"`
	Open bool   `help:"Listen on an address that others reach, too. There is no access control yet: whoever reaches it may do everything." env:"OPEN"`
	Port uint16 `help:"The port to listen on; 0 takes a free one." default:"3000" env:"PORT"`

	PollInterval      time.Duration `help:"The longest time without a look at the database. What is known or was announced is on time whatever this is; shorter asks more often." default:"5s" env:"POLL_INTERVAL"`
	MaxConcurrentRuns int           `help:"How many runs this instance executes at a time." default:"2000" env:"MAX_CONCURRENT_RUNS"`

	SecretKeys secrets.Keyring `help:"The keys that seal secrets, as id:key,id:key, each key 32 bytes in base64. The first seals, all of them open. Best given by the environment: flags can be seen by others." env:"SECRET_KEYS"`

	OutboundAllowCIDRs []netip.Prefix `name:"outbound-allow-cidrs" help:"Networks that http targets may reach though they are not public." env:"OUTBOUND_ALLOW_CIDRS"`
	OutboundAllowPorts []uint16       `name:"outbound-allow-ports" help:"Ports that http targets may reach beside 80 and 443." env:"OUTBOUND_ALLOW_PORTS"`

	RunRetentionDays int `help:"For how many days runs are kept; 0 keeps them for ever. Whole days (UTC) are dropped." default:"30" env:"RUN_RETENTION_DAYS"`

	ShutdownGrace time.Duration `help:"How long to let runs and requests finish after SIGTERM. What still runs then is given back, and another instance tries it again where attempts are left." default:"20s" env:"SHUTDOWN_GRACE"`
	ShutdownDelay time.Duration `help:"How long to go on serving after /readyz says no, for load balancers to notice. Part of the grace." default:"0s" env:"SHUTDOWN_DELAY"`
}

// mostRetentionDays is a hundred years. So many days before today that the date is before Christ, partitions, which are told by
// their dates' digits, would all be dropped.
const mostRetentionDays = 36500

// Validate returns an error that names each value that cannot be. Zero means default.
func (c Config) Validate() error {
	var errs []error
	for name, value := range map[string]int64{
		"POLL_INTERVAL": int64(c.PollInterval), "MAX_CONCURRENT_RUNS": int64(c.MaxConcurrentRuns),
		"RUN_RETENTION_DAYS": int64(c.RunRetentionDays), "SHUTDOWN_GRACE": int64(c.ShutdownGrace), "SHUTDOWN_DELAY": int64(c.ShutdownDelay),
	} {
		if value < 0 {
			errs = append(errs, fmt.Errorf("%s must not be negative", name))
		}
	}
	if c.RunRetentionDays > mostRetentionDays {
		errs = append(errs, fmt.Errorf("RUN_RETENTION_DAYS must be at most %d; 0 keeps runs for ever", mostRetentionDays))
	}
	if err := c.SecretKeys.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("SECRET_KEYS: %w", err))
	}
	if !c.Open && !isLoopback(c.Host) {
		errs = append(errs, fmt.Errorf("HOST %q can be reached by others, and there is no access control yet: set OPEN=true if that is meant", c.Host))
	}
	return errors.Join(errs...)
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && ip.IsLoopback())
}

// DatabaseConfig says where the database is.
type DatabaseConfig struct {
	URL       string `name:"database-url" help:"The PostgreSQL database, as postgres://user:password@host:port/name. Without it, the service starts a PostgreSQL of its own." env:"DATABASE_URL"`
	DirectURL string `name:"database-direct-url" help:"The same database without a pooler in between, where DATABASE_URL goes through one that lends sessions by the transaction: for migrations, and for being notified." env:"DATABASE_DIRECT_URL"`
	DataDir   string `help:"Where a PostgreSQL of our own keeps its data. By default .punctual in the working directory; for root, who may not run PostgreSQL, /var/lib/punctual." env:"PUNCTUAL_DATA_DIR"`
	BinDir    string `name:"postgres-bin" help:"Where the binaries for a PostgreSQL of our own are, if not in one of the usual places." env:"PUNCTUAL_POSTGRES_BIN"`
}
