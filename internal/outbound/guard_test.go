package outbound

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// special are addresses that a user must not have this service reach.
var special = map[string]string{
	"unspecified":               "0.0.0.0",
	"this network":              "0.1.2.3",
	"loopback":                  "127.0.0.1",
	"loopback, not the first":   "127.8.8.8",
	"private 10":                "10.0.0.1",
	"private 172.16":            "172.16.0.1",
	"private 172.31":            "172.31.255.254",
	"private 192.168":           "192.168.1.1",
	"CGNAT":                     "100.64.0.1",
	"metadata, Alibaba":         "100.100.100.200",
	"link-local":                "169.254.1.1",
	"metadata":                  "169.254.169.254",
	"metadata, Oracle":          "192.0.0.192",
	"metadata, Azure":           "168.63.129.16",
	"documentation 1":           "192.0.2.1",
	"documentation 2":           "198.51.100.1",
	"documentation 3":           "203.0.113.1",
	"6to4 relay":                "192.88.99.1",
	"benchmarking":              "198.19.255.255",
	"multicast":                 "224.0.0.1",
	"multicast, scoped":         "239.255.255.250",
	"reserved":                  "240.0.0.1",
	"broadcast":                 "255.255.255.255",
	"v6 unspecified":            "::",
	"v6 loopback":               "::1",
	"v6 compatible":             "::7f00:1",
	"mapped loopback":           "::ffff:127.0.0.1",
	"mapped private":            "::ffff:10.0.0.1",
	"mapped metadata":           "::ffff:169.254.169.254",
	"NAT64 of loopback":         "64:ff9b::7f00:1",
	"NAT64 of a public address": "64:ff9b::808:808",
	"local NAT64":               "64:ff9b:1::7f00:1",
	"discard only":              "100::1",
	"Teredo":                    "2001::1",
	"v6 benchmarking":           "2001:2::1",
	"ORCHID":                    "2001:20::1",
	"v6 documentation":          "2001:db8::1",
	"v6 documentation, long":    "3fff::1",
	"6to4 of loopback":          "2002:7f00:1::",
	"6to4 of a public address":  "2002:808:808::1",
	"segment routing":           "5f00::1",
	"ULA":                       "fd00::1",
	"metadata, AWS over v6":     "fd00:ec2::254",
	"v6 link-local":             "fe80::1",
	"site-local":                "fec0::1",
	"v6 multicast":              "ff02::1",
}

// get returns the status of the answer.
func get(t *testing.T, client *Client, url string) (int, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	require.NoError(t, err)
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

func requireRefused(t *testing.T, err error, why string) {
	t.Helper()
	var refused *RefusedError
	require.ErrorAs(t, err, &refused, "refused: %s", why)
}

func literal(addr netip.Addr) string { return "http://" + netip.AddrPortFrom(addr, 80).String() + "/" }

func TestSpecialAddressesAreRefused(t *testing.T) {
	t.Parallel()
	names := map[string]netip.Addr{}
	for what, text := range special {
		names[nameOf(what)] = netip.MustParseAddr(text)
	}
	client := New(Config{Resolver: resolver(t, func(name string, _ int) []netip.Addr { return []netip.Addr{names[name]} })})
	for what, text := range special {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			requireRefused(t, client.CheckURL(literal(netip.MustParseAddr(text))), "by the URL alone")
			_, err := get(t, client, "http://"+nameOf(what)+"/")
			requireRefused(t, err, "a name that resolves to it")
			require.ErrorContains(t, err, "OUTBOUND_ALLOW_CIDRS", "the error says what an operator can do")
			assert.NotContains(t, err.Error(), text, "the error does not tell what is in the operator's network")
		})
	}
}

// nameOf makes a host name of a description.
func nameOf(what string) string {
	return strings.NewReplacer(" ", "-", ",", "", ".", "-").Replace(strings.ToLower(what)) + ".test"
}

func TestAllowedAddressIsNotAllowedInDisguise(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	port := portOf(t, server)
	client := New(loopback(port))
	status, err := get(t, client, server.URL)
	require.NoError(t, err, "the address itself is allowed")
	require.Equal(t, http.StatusNotFound, status)
	for _, text := range []string{"::ffff:127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::7f00:1", "2002:7f00:1::", "::7f00:1", "::1"} {
		url := "http://" + netip.AddrPortFrom(netip.MustParseAddr(text), port).String() + "/"
		requireRefused(t, client.CheckURL(url), url)
		_, err := get(t, client, url)
		requireRefused(t, err, url)
	}
}

func TestPortsAreRefused(t *testing.T) {
	t.Parallel()
	reached := make(chan struct{}, 1)
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached <- struct{}{} }))
	t.Cleanup(server.Close)
	client := New(Config{AllowCIDRs: loopback().AllowCIDRs})
	requireRefused(t, client.CheckURL("http://example.com:22/"), "by the URL alone")
	_, err := get(t, client, server.URL)
	requireRefused(t, err, "a port that nobody allowed")
	require.ErrorContains(t, err, "OUTBOUND_ALLOW_PORTS", "the error says what an operator can do")
	require.Error(t, client.guard.control("tcp4", server.Listener.Addr().String(), nil), "refused when dialed, too")
	assert.Empty(t, reached, "nothing reached the port")
}

func TestRefusalNamesAllCauses(t *testing.T) {
	t.Parallel()
	client := New(Config{})
	for url, want := range map[string][]string{
		"http://10.0.0.1:8080/":      {"OUTBOUND_ALLOW_PORTS", "OUTBOUND_ALLOW_CIDRS"},
		"http://[fd00::1]:8080/":     {"OUTBOUND_ALLOW_PORTS", "OUTBOUND_ALLOW_CIDRS"},
		"http://reports.local:8080/": {"OUTBOUND_ALLOW_PORTS", "OUTBOUND_ALLOW_CIDRS"},
		"http://10.0.0.1/":           {"OUTBOUND_ALLOW_CIDRS"},
		"http://8.8.8.8:8080/":       {"OUTBOUND_ALLOW_PORTS"},
	} {
		err := client.CheckURL(url)
		requireRefused(t, err, url)
		for _, setting := range []string{"OUTBOUND_ALLOW_PORTS", "OUTBOUND_ALLOW_CIDRS"} {
			assert.Equal(t, slices.Contains(want, setting), strings.Contains(err.Error(), setting), "%s: %s tells of %s", url, err, setting)
		}
	}
}

// Users are not to learn which names exist in the operator's network.
func TestRefusalDoesNotTellWhetherANameExists(t *testing.T) {
	t.Parallel()
	client := New(Config{Resolver: resolver(t, func(name string, _ int) []netip.Addr {
		if name == "exists.test" {
			return []netip.Addr{netip.MustParseAddr("10.0.0.1")}
		}
		return nil
	})})
	_, exists := get(t, client, "http://exists.test/")
	_, missing := get(t, client, "http://missing.test/")
	require.ErrorContains(t, exists, "OUTBOUND_ALLOW_CIDRS")
	require.Equal(t, exists, missing)
}

func TestAllowedNetworkInTheFormOfIPv6(t *testing.T) {
	t.Parallel()
	client := New(Config{AllowCIDRs: []netip.Prefix{netip.MustParsePrefix("::ffff:10.0.0.0/104"), netip.MustParsePrefix("fd00::/64")}})
	require.NoError(t, client.CheckURL("http://10.1.2.3/"))
	require.NoError(t, client.CheckURL("http://[fd00::1]/"))
	for _, url := range []string{"http://11.0.0.1.", "http://127.0.0.1/", "http://[::ffff:10.1.2.3]/", "http://[fd01::1]/"} {
		requireRefused(t, client.CheckURL(url), url)
	}
}

// loopback allows 127.0.0.1 and the ports.
func loopback(ports ...uint16) Config {
	return Config{AllowCIDRs: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, AllowPorts: ports}
}

func portOf(t *testing.T, server *httptest.Server) uint16 {
	t.Helper()
	addr, ok := server.Listener.Addr().(*net.TCPAddr)
	require.True(t, ok, "a server on TCP")
	return uint16(addr.Port)
}
