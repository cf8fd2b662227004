package app

import (
	"fmt"
	"math"
	"os"
	"path"
	"runtime/debug"
	"strings"
)

// minBuffers and maxBuffers bound, in MB, how much of its tables the built-in PostgreSQL keeps in
// memory. It takes the memory only when it has read that much.
const (
	minBuffers = 128
	maxBuffers = 4096
)

// sharedBuffers returns how much memory the built-in PostgreSQL uses for its tables: a quarter of
// the available memory, as PostgreSQL's manual recommends. Its own default is 128 MB, and with that
// a claim among a million jobs mostly reads from the disk.
func sharedBuffers() string {
	return fmt.Sprintf("%dMB", min(max(availableMemory()/4>>20, minBuffers), maxBuffers))
}

// availableMemory returns how many bytes of memory this process may use at most, or zero if that is
// unknown.
func availableMemory() uint64 { return min(machineMemory(), groupMemory()) }

// machineMemory returns how many bytes of memory the machine has, or zero if the system does not
// say so as Linux does: "MemTotal: 24684084 kB".
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

// groupMemory returns how many bytes of memory the control groups of this process may use, for
// example as the limit of a container. It returns the largest number if there is no limit, or if
// the groups are of version 1.
func groupMemory() uint64 {
	limit := uint64(math.MaxUint64)
	text, _ := os.ReadFile("/proc/self/cgroup")
	for line := range strings.Lines(string(text)) {
		group, ok := strings.CutPrefix(strings.TrimSpace(line), "0::")
		if !ok {
			continue
		}
		for dir := path.Join("/", group); ; dir = path.Dir(dir) {
			text, _ := os.ReadFile(path.Join("/sys/fs/cgroup", dir, "memory.max")) //nolint:gosec // the kernel names the path
			var bytes uint64
			if n, _ := fmt.Sscan(string(text), &bytes); n == 1 { // the text is not "max"
				limit = min(limit, bytes)
			}
			if dir == "/" {
				break
			}
		}
	}
	return limit
}

const (
	// gcPercent is how much a process may allocate before garbage is collected, in percent of what
	// it keeps. It keeps little, namely a dozen megabytes and the payloads of the runs that it
	// executes, so that collecting rarely saves more time than it costs memory.
	gcPercent = 400
	// memoryPercent is the share of the available memory from which on garbage is collected more
	// often than that. The rest is for PostgreSQL's buffers, if it runs on this machine, and the
	// system.
	memoryPercent = 70
)

// TuneMemory sets when garbage is collected. The environment variables GOGC and GOMEMLIMIT have
// priority.
func TuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if available := availableMemory(); os.Getenv("GOMEMLIMIT") == "" && available > 0 {
		debug.SetMemoryLimit(int64(min(available, math.MaxInt64) / 100 * memoryPercent))
	}
}
