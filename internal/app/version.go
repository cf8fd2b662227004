package app

import (
	"cmp"
	"runtime/debug"
)

// version is set by a release's build: -ldflags "-X punctual/internal/app.version=v1.2.3".
var version string

// Version returns the version of this binary: the one that its build was given, or the one that Go
// derived from the module or the commit. It is "(devel)" if neither is known, as in tests.
func Version() string {
	var derived string
	if info, ok := debug.ReadBuildInfo(); ok {
		derived = info.Main.Version
	}
	return cmp.Or(version, derived, "(devel)")
}
