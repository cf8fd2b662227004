package embeddedpg

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

// errPassing marks a failed start that may succeed when it is repeated: another program took the
// port first, or processes of a killed server are about to end.
var errPassing = errors.New("PostgreSQL could not start yet")

// settingPattern matches the names that PostgreSQL accepts for settings.
var settingPattern = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*$`)

// process is a running postmaster.
type process struct {
	cmd  *exec.Cmd
	log  *serverLog
	done chan struct{} // closed when it has ended
	err  error         // how it ended; read it only after done
}

// ownSettings returns the settings that this package relies on. Config.Settings cannot change them.
func ownSettings(port string) map[string]string {
	return map[string]string{
		"port":                    port,
		"listen_addresses":        "127.0.0.1",
		"unix_socket_directories": "", // its default directory may not exist, or not be ours to write
		"log_destination":         "stderr",
		"logging_collector":       "off",
		"log_line_prefix":         logPrefix,
		"lc_messages":             "C", // severity and explain read them
	}
}

// defaultSettings returns the settings that Config.Settings may change.
func defaultSettings() map[string]string {
	return map[string]string{"timezone": "UTC", "log_timezone": "UTC", "max_connections": "100"}
}

func checkSettings(settings map[string]string) error {
	reserved := ownSettings("")
	reserved["data_directory"] = ""
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		if !settingPattern.MatchString(name) {
			return fmt.Errorf("%q is not the name of a PostgreSQL setting", name)
		}
		if _, ok := reserved[strings.ToLower(name)]; ok {
			return fmt.Errorf("the PostgreSQL setting %s is Punctual's own and cannot be changed", name)
		}
	}
	return nil
}

// startProcess runs the postmaster and returns when the database accepts connections. After an
// error nothing is left running.
func startProcess(ctx context.Context, bin binaries, dir directory, who *account, address url.URL,
	settings map[string]string, logger *slog.Logger,
) (*process, error) {
	all := defaultSettings()
	maps.Copy(all, settings)
	maps.Copy(all, ownSettings(address.Port()))
	args := []string{"-D", dir.clusterPath()}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		args = append(args, "-c", name+"="+all[name])
	}

	p := &process{log: newServerLog(logger), done: make(chan struct{})}
	// The server must outlive the context of the start.
	p.cmd = who.command(context.WithoutCancel(ctx), dir.clusterPath(), filepath.Join(bin.dir, "postgres"), args...)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	// Processes of a killed postmaster keep its output open for a moment. WaitDelay reports its end
	// at once all the same.
	p.cmd.WaitDelay = time.Second
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("run PostgreSQL: %w", err)
	}
	go p.watch(logger)

	if err := awaitDatabase(ctx, address, p.done); err != nil {
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
		defer cancel()
		_ = p.stop(undo) // the start's own error is the one to know
		return nil, p.explain(err)
	}
	p.log.serving.Store(true)
	return p, nil
}

// watch waits for the end of the process, whatever its reason.
func (p *process) watch(logger *slog.Logger) {
	p.err = p.cmd.Wait()
	if p.log.serving.Load() {
		logger.Error("PostgreSQL ended unexpectedly", "error", p.err, "log", p.log.tail())
	}
	close(p.done)
}

// explain adds the end of the server's log to the error of a start.
func (p *process) explain(err error) error {
	tail := p.log.tail()
	if strings.Contains(tail, "could not create any TCP/IP sockets") || strings.Contains(tail, "pre-existing shared memory block") {
		err = fmt.Errorf("%w: %w", errPassing, err)
	}
	return fmt.Errorf("start PostgreSQL: %w; its log ends with:\n%s", err, tail)
}

// stop ends the process and returns when it is gone. See Server.Stop.
func (p *process) stop(ctx context.Context) error {
	p.log.serving.Store(false)
	_ = p.cmd.Process.Signal(syscall.SIGINT) // fails only when it has ended
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
	}
	select {
	case <-p.done: // both at once, and select takes any
		return nil
	default:
	}
	_ = p.cmd.Process.Signal(syscall.SIGQUIT)
	select {
	case <-p.done:
	case <-time.After(undoTimeout):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
	return fmt.Errorf("PostgreSQL did not shut down in time and was ended, it recovers at the next start: %w", context.Cause(ctx))
}
