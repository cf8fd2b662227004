package app

import (
	"fmt"
	"math"
	"os"
	"path"
	"runtime/debug"
	"strings"
)

// leastBuffers and mostBuffers bound, in MB, what a PostgreSQL of our own may keep of its tables in memory. It takes that much
// only when it has read as much.
const (
	leastBuffers = 128
	mostBuffers  = 4096
)

// sharedBuffers is how much memory a PostgreSQL of our own uses for its tables: a quarter of what there is, as PostgreSQL's
// manual has it. By itself it takes 128 MB, so that at a million jobs most of what a claim reads is not there.
func sharedBuffers() string {
	available := min(machineMemory(), groupMemory())
	return fmt.Sprintf("%dMB", min(max(available/4>>20, leastBuffers), mostBuffers))
}

// machineMemory returns how many bytes of memory the machine has, by Linux's "MemTotal:       24684084 kB". Zero where the
// system does not say it so.
func machineMemory() uint64 {
	text, _ := os.ReadFile("/proc/meminfo")
	for line := range strings.Lines(string(text)) {
		var kilobytes uint64
		if n, _ := fmt.Sscanf(line, "MemTotal: %d kB", &kilobytes); n == 1 {
			return kilobytes << 10
		}
	}
	return 0
}

// groupMemory returns how many bytes of memory our control groups may use, where they are of version 2: a container's limit, or
// a service manager's. The largest number where they say nothing.
func groupMemory() uint64 {
	least := uint64(math.MaxUint64)
	text, _ := os.ReadFile("/proc/self/cgroup")
	for line := range strings.Lines(string(text)) {
		group, ok := strings.CutPrefix(strings.TrimSpace(line), "0::")
		if !ok {
			continue
		}
		for dir := path.Join("/", group); ; dir = path.Dir(dir) {
			limit, _ := os.ReadFile(path.Join("/sys/fs/cgroup", dir, "memory.max")) //nolint:gosec // the kernel names the path
			var bytes uint64
			if n, _ := fmt.Sscan(string(limit), &bytes); n == 1 { // not "max"
				least = min(least, bytes)
			}
			if dir == "/" {
				break
			}
		}
	}
	return least
}

// gcPercent is how much a process may allocate before garbage is collected, in percent of what it keeps. It keeps little,
// a dozen megabytes and what the payloads of 2000 runs take, so collecting seldom costs less memory than it saves time.
const gcPercent = 400

// TuneMemory sets how often garbage is collected, unless GOGC does.
func TuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}
