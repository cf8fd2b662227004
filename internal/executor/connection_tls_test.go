package executor

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// authority issues certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "private"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	var err error
	a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	require.NoError(t, err)
	a.certificate, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	a.pem = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return a
}

// issue returns a certificate for a name and its key, in PEM.
func (a *authority) issue(t *testing.T, name string) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.certificate, private.Public(), a.key)
	require.NoError(t, err)
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}))
}

// serveTLS starts a server with a certificate for a name, which demands one of its clients, and
// answers with the name in that.
func (a *authority) serveTLS(t *testing.T, name string, demands tls.ClientAuthType, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	certificate, key := a.issue(t, name)
	pair, err := tls.X509KeyPair([]byte(certificate), []byte(key))
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: demands, ClientCAs: pool, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

func writeClient(w http.ResponseWriter, r *http.Request) {
	if len(r.TLS.PeerCertificates) > 0 {
		_, _ = io.WriteString(w, r.TLS.PeerCertificates[0].Subject.CommonName)
	}
}

func TestTLSOfConnections(t *testing.T) {
	t.Parallel()
	private, stranger := newAuthority(t), newAuthority(t)
	server := private.serveTLS(t, "crm.internal", tls.RequireAndVerifyClientCert, writeClient)
	certificate, key := private.issue(t, "punctual")
	foreign, foreignKey := stranger.issue(t, "punctual")
	for name, row := range map[string]struct {
		tls  ConnectionTLS
		want string // empty: success
	}{
		"all":              {ConnectionTLS{CA: private.pem, ClientCertificate: certificate, ClientKey: key, ServerName: "crm.internal"}, ""},
		"no CA":            {ConnectionTLS{ClientCertificate: certificate, ClientKey: key, ServerName: "crm.internal"}, "certificate signed by unknown authority"},
		"another CA":       {ConnectionTLS{CA: stranger.pem, ServerName: "crm.internal"}, "certificate signed by unknown authority"},
		"no name":          {ConnectionTLS{CA: private.pem, ClientCertificate: certificate, ClientKey: key}, "the certificate is not valid"},
		"another name":     {ConnectionTLS{CA: private.pem, ServerName: "billing.internal"}, "certificate is valid for crm.internal"},
		"no certificate":   {ConnectionTLS{CA: private.pem, ServerName: "crm.internal"}, "certificate required"},
		"a foreign client": {ConnectionTLS{CA: private.pem, ClientCertificate: foreign, ClientKey: foreignKey, ServerName: "crm.internal"}, "the request failed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, _ := connected(t, Connection{BaseURL: server.URL, TLS: row.tls}, nil, server.Listener.Addr())
			result, err := through(t, h, fields{}, nil)
			if row.want != "" {
				require.ErrorContains(t, err, row.want)
				return
			}
			require.NoError(t, err)
			require.Equal(t, "punctual", result.Output, "the server has seen who calls")
		})
	}
}

// A redirect to another host trusts the private CA, and shows no certificate of the client.
func TestTheCertificateOfTheClientIsForItsHostOnly(t *testing.T) {
	t.Parallel()
	private := newAuthority(t)
	other := private.serveTLS(t, "localhost", tls.RequestClientCert, writeClient)
	_, port, err := net.SplitHostPort(other.Listener.Addr().String())
	require.NoError(t, err)
	home := private.serveTLS(t, "crm.internal", tls.RequireAndVerifyClientCert, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://localhost:"+port, http.StatusTemporaryRedirect)
	})
	certificate, key := private.issue(t, "punctual")
	h, _ := connected(t, Connection{
		BaseURL: home.URL, TLS: ConnectionTLS{CA: private.pem, ClientCertificate: certificate, ClientKey: key, ServerName: "crm.internal"},
	}, nil, home.Listener.Addr(), other.Listener.Addr())
	result, err := through(t, h, fields{"followRedirects": true}, nil)
	require.NoError(t, err)
	require.Empty(t, result.Output)
}
