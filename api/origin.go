package api

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// protectOpen protects a service that asks nobody for a key from the pages that a browser on the
// same machine shows. A page of another origin may send requests to loopback addresses, and its
// name may resolve to one. Therefore the Host must be a loopback name or one of the allowed names,
// and a browser's cross-origin request that could change something is refused. Where keys are
// required this is not needed, because no browser adds a key by itself.
func protectOpen(allowedHosts []string, errs errorWriter) func(http.Handler) http.Handler {
	crossOrigin := http.NewCrossOriginProtection()
	crossOrigin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		errs.write(w, problem(r.Context(), crossOriginRequest, ""))
	}))
	return func(next http.Handler) http.Handler {
		next = crossOrigin.Handler(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !isAllowedHost(r.Host, allowedHosts) {
				errs.write(w, problem(r.Context(), hostNotAllowed, ""))
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// isAllowedHost reports whether a Host header, with or without a port, is a loopback name or
// address, or one of the allowed names.
func isAllowedHost(header string, allowed []string) bool {
	host := header
	if name, _, err := net.SplitHostPort(header); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if address, err := netip.ParseAddr(host); err == nil && address.IsLoopback() {
		return true
	}
	return strings.EqualFold(host, "localhost") ||
		slices.ContainsFunc(allowed, func(name string) bool { return strings.EqualFold(host, name) })
}
