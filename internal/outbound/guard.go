package outbound

import (
	"errors"
	"net/netip"
	"slices"
	"syscall"

	"code.dny.dev/ssrf"
)

// RefusedError says, in words for the user who named it, why a URL is not requested.
type RefusedError struct{ reason string }

func (e *RefusedError) Error() string { return e.reason }

var (
	errPort    = &RefusedError{"the port is not allowed; an operator can allow it with OUTBOUND_ALLOW_PORTS"}
	errAddress = &RefusedError{"the address is private or reserved, and not allowed; an operator can allow it with OUTBOUND_ALLOW_CIDRS"}
)

// deniedV4 is what the guard's own list, IANA's special purpose registry, does not know: the public address at which each
// machine in Azure reaches its host's agent.
var deniedV4 = netip.MustParsePrefix("168.63.129.16/32")

// guard judges addresses and ports.
type guard struct {
	addresses *ssrf.Guardian
	ports     []uint16
}

func newGuard(cfg Config) guard {
	var v4, v6 []netip.Prefix
	for _, prefix := range cfg.AllowCIDRs {
		if prefix.Addr().Is4() {
			v4 = append(v4, prefix)
		} else {
			v6 = append(v6, prefix)
		}
	}
	ports := append([]uint16{80, 443}, cfg.AllowPorts...)
	return guard{ports: ports, addresses: ssrf.New(
		ssrf.WithPorts(ports...),
		ssrf.WithAllowedV4Prefixes(v4...),
		ssrf.WithAllowedV6Prefixes(v6...),
		ssrf.WithDeniedV4Prefixes(deniedV4),
	)}
}

// control is a [net.Dialer]'s Control: it sees the address that is about to be connected to, whatever name, redirect or
// second look at the DNS led there.
func (g guard) control(network, address string, conn syscall.RawConn) error {
	return refusal(g.addresses.Safe(network, address, conn))
}

// checkPort judges a port alone, of a host whose address is not known yet.
func (g guard) checkPort(port uint16) error {
	if !slices.Contains(g.ports, port) {
		return errPort
	}
	return nil
}

func (g guard) checkAddrPort(addr netip.AddrPort) error {
	return refusal(g.addresses.SafeAddrPort(addr))
}

// refusal says to a user what the guard says to a programmer. It does not quote the address: what a name resolves to in
// the operator's network is not for users to learn.
func refusal(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ssrf.ErrProhibitedPort):
		return errPort
	default:
		return errAddress
	}
}
