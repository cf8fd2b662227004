package outbound

import (
	"errors"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestURLsThatAreRefused(t *testing.T) {
	t.Parallel()
	client := New(Config{})
	for raw, want := range map[string]error{
		"":                                      errScheme,
		"example.com":                           errScheme,
		"//example.com/":                        errScheme,
		"ftp://example.com/":                    errScheme,
		"file:///etc/passwd":                    errScheme,
		"javascript:alert(1)":                   errScheme,
		"unix:///run/docker.sock":               errScheme,
		"http:example.com":                      errHost,
		"http:///hook":                          errHost,
		"http://:80/":                           errHost,
		"http://[::1/":                          errURL,
		"http://exa mple.com/":                  errURL,
		"http://example.com/\r\nX: y":           errURL,
		" http://example.com/":                  errURL,
		"http://example.com:99999/":             errURL,
		"http://example.com:0/":                 errPort,
		"https://example.com:22/":               errPort,
		"https://93.184.215.14:6379/":           errPort,
		"http://user:word@example.com/":         errCredentials,
		"http://user@example.com/":              errCredentials,
		"http://example.com@127.0.0.1/":         errCredentials,
		"http://example.com/#part":              errFragment,
		"http://example.com/#":                  errFragment,
		"http://2130706433/":                    errNumericHost, // decimal
		"http://017700000001/":                  errNumericHost, // octal
		"http://0177.0.0.1/":                    errNumericHost,
		"http://0x7f000001/":                    errNumericHost, // hexadecimal
		"http://0x7f.1/":                        errNumericHost,
		"http://0x7f.0x0.0x0.0x1/":              errNumericHost,
		"http://127.1/":                         errNumericHost, // short
		"http://127.0.0.1./":                    errNumericHost,
		"http://256.0.0.1/":                     errNumericHost,
		"http://evil.0x7f000001/":               errNumericHost,
		"http://127.0.0.1/":                     errAddress,
		"http://１２７．０．０．１/":                     errAddress, // fullwidth
		"http://[::]/":                          errAddress,
		"http://[fe80::1%25eth0]/":              errAddress,
		"http://[2001:4860:4860::8888%25eth0]/": errAddress,
	} {
		require.ErrorIs(t, client.CheckURL(raw), want, "%q when it is defined", raw)
		u, err := url.Parse(raw)
		if err != nil || errors.Is(want, errFragment) { // which a request does not send
			continue
		}
		_, err = client.Do(&http.Request{URL: u}) //nolint:bodyclose // there is none
		require.ErrorIs(t, err, want, "%q when it is requested", raw)
	}
}

func TestURLsThatAreAllowed(t *testing.T) {
	t.Parallel()
	client := New(Config{AllowPorts: []uint16{8443}})
	for _, raw := range []string{
		"http://example.com", "https://example.com:443/hook?id=1&to=a%23b", "HTTPS://EXAMPLE.COM./", "https://example.com:8443/",
		"https://example.com:/", "http://8.8.8.8/", "http://[2001:4860:4860::8888]:80/", "http://bücher.example/",
		"http://my_service/", "http://3f2a9b/", "http://1.example/", "http://0x7f.example/",
	} {
		require.NoError(t, client.CheckURL(raw), "%q is allowed", raw)
	}
}
