package outbound

import (
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

var (
	errURL         = refused("the URL is not valid")
	errScheme      = refused("the URL must begin with http:// or https://")
	errCredentials = refused("the URL must not contain credentials")
	errFragment    = refused("the URL must not have a fragment")
	errHost        = refused("the URL must have a valid host")
	errNumericHost = refused("the host must be a name or an IP address in its usual form")
)

// CheckURL judges a URL before it is stored. It returns a [*RefusedError] if the URL is not
// allowed. The addresses of a name are judged at each request instead.
func (c *Client) CheckURL(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return errURL
	case strings.Contains(raw, "#"):
		return errFragment
	default:
		return c.guard.checkURL(u)
	}
}

func (g guard) checkURL(u *url.URL) error {
	var port uint64
	switch u.Scheme {
	case "http":
		port = 80
	case "https":
		port = 443
	default:
		return errScheme
	}
	if u.User != nil {
		return errCredentials
	}
	if u.Port() != "" {
		var err error
		if port, err = strconv.ParseUint(u.Port(), 10, 16); err != nil {
			return errURL
		}
	}
	host, err := asciiHost(u.Hostname())
	if err != nil || host == "" {
		return errHost
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return g.checkAddrPort(netip.AddrPortFrom(addr, uint16(port)))
	}
	if endsInNumber(host) {
		return errNumericHost
	}
	return g.checkPort(uint16(port))
}

// asciiHost returns the host as net/http looks it up. For example, it maps fullwidth digits to
// ASCII.
func asciiHost(host string) (string, error) {
	for _, c := range host {
		if c > 0x7f {
			return idna.Lookup.ToASCII(host)
		}
	}
	return host, nil
}

var number = regexp.MustCompile(`^([0-9]+|0[xX][0-9a-fA-F]*)$`)

// endsInNumber reports whether browsers and the C library would read a host as an IPv4 address in
// decimal, octal, hexadecimal or short form. No name ends in a number.
func endsInNumber(host string) bool {
	host = strings.TrimSuffix(host, ".")
	return number.MatchString(host[strings.LastIndex(host, ".")+1:])
}
