package outbound

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

// The one stands for what is public, being allowed, the other for what is not.
var (
	public  = netip.MustParseAddr("127.0.0.1")
	private = netip.MustParseAddr("127.0.0.2")
)

func TestNameThatResolvesElsewhereTheSecondTimeIsRefused(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close") // so that the next request looks the name up again
	}))
	t.Cleanup(server.Close)
	cfg := loopback(portOf(t, server))
	cfg.Resolver = resolver(t, func(_ string, nth int) []netip.Addr {
		if nth == 1 {
			return []netip.Addr{public}
		}
		return []netip.Addr{private}
	})
	client := New(cfg)
	url := fmt.Sprintf("http://rebinding.test:%d/", portOf(t, server))
	require.NoError(t, client.CheckURL(url), "a name is not judged before it is looked up")
	status, err := get(t, client, url)
	require.NoError(t, err, "at first it is public")
	require.Equal(t, http.StatusOK, status)
	_, err = get(t, client, url)
	requireRefused(t, err, "then it is private")
}

func TestPrivateOneOfTwoAddressesIsRefused(t *testing.T) {
	t.Parallel()
	closed, err := net.Listen("tcp", netip.AddrPortFrom(public, 0).String())
	require.NoError(t, err)
	port := closed.Addr().(*net.TCPAddr).AddrPort().Port()
	require.NoError(t, closed.Close())
	cfg := loopback(port)
	cfg.Resolver = resolver(t, func(string, int) []netip.Addr { return []netip.Addr{private, public} })
	_, err = get(t, New(cfg), fmt.Sprintf("http://both.test:%d/", port))
	requireRefused(t, err, "the public one does not answer, and the private one is not tried")
}

func TestRedirectIsTheAnswer(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.RedirectHandler("http://169.254.169.254/latest/meta-data/", http.StatusFound))
	t.Cleanup(server.Close)
	client := New(loopback(portOf(t, server)))
	status, err := get(t, client, server.URL)
	require.NoError(t, err)
	require.Equal(t, http.StatusFound, status, "it is not followed")

	following := &http.Client{Transport: roundTripper(client.Do)}
	_, err = following.Get(server.URL) //nolint:bodyclose // there is none
	requireRefused(t, err, "nor could one who follows it get there")
}

type roundTripper func(*http.Request) (*http.Response, error)

func (do roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return do(req) }
