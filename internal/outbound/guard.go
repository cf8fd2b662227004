package outbound

import (
	"net/netip"
	"slices"
	"syscall"

	"code.dny.dev/ssrf"
)

// RefusedError tells the user who named a URL why it is refused. It names all causes.
type RefusedError struct {
	reason string
	causes []error // those that reason tells of, if there are several
}

func (e *RefusedError) Error() string { return e.reason }

// Unwrap returns the causes, so that errors.Is finds each.
func (e *RefusedError) Unwrap() []error { return e.causes }

func refused(reason string) *RefusedError { return &RefusedError{reason: reason} }

var (
	errPort    = refused("the port is not allowed; an operator can allow it with OUTBOUND_ALLOW_PORTS")
	errAddress = refused("the address is private or reserved, and not allowed; an operator can allow it with OUTBOUND_ALLOW_CIDRS")
	// errPortOfName is errPort for a host whose addresses are not known yet.
	errPortOfName = &RefusedError{errPort.reason +
		". If the host has a private address, that must be allowed with OUTBOUND_ALLOW_CIDRS, too", []error{errPort}}
	errPortAndAddress = &RefusedError{errPort.reason + "; " + errAddress.reason, []error{errPort, errAddress}}
	// errName is the error for a host that does not exist, and for one whose addresses are not
	// allowed. It is the same so that users do not learn which names exist in the operator's
	// network.
	errName = refused("the host has no address, or a private or reserved one that is not allowed; " +
		"an operator can allow that with OUTBOUND_ALLOW_CIDRS")
)

// deniedV4 is the public address at which each machine in Azure reaches the agent of its host. It
// is not in IANA's registry of special addresses, which the guard knows.
var deniedV4 = netip.MustParsePrefix("168.63.129.16/32")

// guard judges addresses and ports.
type guard struct {
	addresses *ssrf.Guardian
	ports     []uint16
}

func newGuard(cfg Config) guard {
	var v4, v6 []netip.Prefix
	for _, prefix := range cfg.AllowCIDRs {
		if addr := prefix.Addr(); addr.Is4In6() && prefix.Bits() >= 96 {
			prefix = netip.PrefixFrom(addr.Unmap(), prefix.Bits()-96) // as addresses are when they are judged
		}
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

// control is the Control of a [net.Dialer]. It judges the address of each connection right before
// it is opened, so it does not matter which name or which lookup led there.
func (g guard) control(network, address string, conn syscall.RawConn) error {
	if err := g.addresses.Safe(network, address, conn); err != nil {
		return errName // without what the guard says, which quotes the address
	}
	return nil
}

func (g guard) isPortAllowed(port uint16) bool { return slices.Contains(g.ports, port) }

// checkPort judges a port alone, of a host whose addresses are not known yet.
func (g guard) checkPort(port uint16) error {
	if !g.isPortAllowed(port) {
		return errPortOfName
	}
	return nil
}

func (g guard) checkAddrPort(addr netip.AddrPort) error {
	isAddressAllowed := g.addresses.SafeAddrPort(netip.AddrPortFrom(addr.Addr(), g.ports[0])) == nil
	switch isPortAllowed := g.isPortAllowed(addr.Port()); {
	case isAddressAllowed && isPortAllowed:
		return nil
	case isAddressAllowed:
		return errPort
	case isPortAllowed:
		return errAddress
	default:
		return errPortAndAddress
	}
}
