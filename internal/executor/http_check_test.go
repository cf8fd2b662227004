package executor

import (
	"encoding/base64"
	"testing"

	"github.com/stretchr/testify/require"
)

var _ Checker = (*HTTP)(nil)

func TestCheck(t *testing.T) {
	t.Parallel()
	const (
		connection  = "belongs to the connection and cannot be set"
		own         = "is set by Punctual"
		credentials = "belongs in secretHeaders"
		twice       = "is given twice"
		name        = "is not a valid name of a header"
		control     = "must not contain control characters"
		signing     = "must be whsec_ and 24 to 64 bytes in base64, or whsk_ and an ed25519 private key of 32 or 64 bytes in base64"
	)
	target := NewHTTP(HTTPConfig{})
	const url = "https://example.com/hook"
	headers := func(list fields) fields { return fields{"url": url, "headers": list} }
	key := func(size int) string { return "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, size)) }
	for what, row := range map[string]struct {
		definition, secrets fields
		want                []Fault
	}{
		"nothing wrong": {
			fields{"url": url, "headers": fields{"X-A": "b\tc", "Accept": "*/*", "user-agent": "me", "Content-Type": "text/plain"}, "body": ""},
			fields{"secretHeaders": fields{"Authorization": "Bearer abc", "X-Api-Key": "abc"}, "signingSecrets": []string{key(24), key(64)}},
			nil,
		},
		"an address": {fields{"url": "http://10.0.0.1/"}, nil, []Fault{{"url", NotAllowed, "the address is private or reserved, and not allowed; an operator can allow it with OUTBOUND_ALLOW_CIDRS"}}},
		"a port": {fields{"url": "http://example.com:22/"}, nil, []Fault{{"url", NotAllowed, "the port is not allowed; an operator can allow it with OUTBOUND_ALLOW_PORTS. " +
			"If the host has a private address, that must be allowed with OUTBOUND_ALLOW_CIDRS, too"}}},
		"a body with GET":   {fields{"url": url, "method": "GET", "body": ""}, nil, []Fault{{"body", Conflicting, "cannot be sent with GET"}}},
		"a body with HEAD":  {fields{"url": url, "method": "HEAD", "body": "a"}, nil, []Fault{{"body", Conflicting, "cannot be sent with HEAD"}}},
		"host":              {headers(fields{"Host": "a"}), nil, []Fault{{"headers.Host", NotAllowed, connection}}},
		"length":            {headers(fields{"content-length": "1"}), nil, []Fault{{"headers.content-length", NotAllowed, connection}}},
		"encoding":          {headers(fields{"Transfer-Encoding": "chunked"}), nil, []Fault{{"headers.Transfer-Encoding", NotAllowed, connection}}},
		"TE":                {headers(fields{"TE": "trailers"}), nil, []Fault{{"headers.TE", NotAllowed, connection}}},
		"trailer":           {headers(fields{"Trailer": "a"}), nil, []Fault{{"headers.Trailer", NotAllowed, connection}}},
		"upgrade":           {headers(fields{"Upgrade": "a"}), nil, []Fault{{"headers.Upgrade", NotAllowed, connection}}},
		"expect":            {headers(fields{"Expect": "100-continue"}), nil, []Fault{{"headers.Expect", NotAllowed, connection}}},
		"connection":        {headers(fields{"Connection": "close"}), nil, []Fault{{"headers.Connection", NotAllowed, connection}}},
		"hop by hop":        {fields{"url": url}, fields{"secretHeaders": fields{"Proxy-Authorization": "a"}}, []Fault{{"secretHeaders.Proxy-Authorization", NotAllowed, connection}}},
		"idempotency":       {headers(fields{"idempotency-key": "1"}), nil, []Fault{{"headers.idempotency-key", NotAllowed, own}}},
		"ours":              {headers(fields{"Punctual-Anything": "1"}), nil, []Fault{{"headers.Punctual-Anything", NotAllowed, own}}},
		"the signature":     {headers(fields{"Webhook-Signature": "1"}), nil, []Fault{{"headers.Webhook-Signature", NotAllowed, own}}},
		"the trace":         {headers(fields{"traceparent": "1", "Tracestate": "1"}), nil, []Fault{{"headers.Tracestate", NotAllowed, own}, {"headers.traceparent", NotAllowed, own}}},
		"authorization":     {headers(fields{"authorization": "a"}), nil, []Fault{{"headers.authorization", NotAllowed, credentials}}},
		"cookie":            {headers(fields{"Cookie": "a"}), nil, []Fault{{"headers.Cookie", NotAllowed, credentials}}},
		"token":             {headers(fields{"X-Auth-Token": "a"}), nil, []Fault{{"headers.X-Auth-Token", NotAllowed, credentials}}},
		"secret":            {headers(fields{"X-SECRET": "a"}), nil, []Fault{{"headers.X-SECRET", NotAllowed, credentials}}},
		"password":          {headers(fields{"My-Password": "a"}), nil, []Fault{{"headers.My-Password", NotAllowed, credentials}}},
		"api-key":           {headers(fields{"X-Api-Key": "a"}), nil, []Fault{{"headers.X-Api-Key", NotAllowed, credentials}}},
		"auth":              {headers(fields{"X-Auth": "a"}), nil, []Fault{{"headers.X-Auth", NotAllowed, credentials}}},
		"API token":         {headers(fields{"X-Api-Token": "a"}), nil, []Fault{{"headers.X-Api-Token", NotAllowed, credentials}}},
		"auth key":          {headers(fields{"X-Auth-Key": "a"}), nil, []Fault{{"headers.X-Auth-Key", NotAllowed, credentials}}},
		"JWT":               {headers(fields{"X-JWT-Assertion": "a"}), nil, []Fault{{"headers.X-JWT-Assertion", NotAllowed, credentials}}},
		"functions key":     {headers(fields{"x-functions-key": "a"}), nil, []Fault{{"headers.x-functions-key", NotAllowed, credentials}}},
		"session":           {headers(fields{"X-Session-Id": "a"}), nil, []Fault{{"headers.X-Session-Id", NotAllowed, credentials}}},
		"no credentials":    {headers(fields{"X-Author": "a", "X-Cache-Key": "b", "X-Authority": "c", "Routing-Key": "d"}), nil, nil},
		"apikey":            {headers(fields{"apikey": "a"}), nil, []Fault{{"headers.apikey", NotAllowed, credentials}}},
		"empty name":        {headers(fields{"": "a"}), nil, []Fault{{"headers.", WrongFormat, name}}},
		"name with a space": {headers(fields{"X A": "a"}), nil, []Fault{{"headers.X A", WrongFormat, name}}},
		"name with a line":  {headers(fields{"X\r\nY": "a"}), nil, []Fault{{"headers.X\r\nY", WrongFormat, name}}},
		"another line":      {headers(fields{"X-A": "a\r\nHost: b"}), nil, []Fault{{"headers.X-A", WrongFormat, control}}},
		"NUL":               {fields{"url": url}, fields{"secretHeaders": fields{"X-A": "a\x00"}}, []Fault{{"secretHeaders.X-A", WrongFormat, control}}},
		"two cases":         {headers(fields{"X-A": "1", "x-a": "2"}), nil, []Fault{{"headers.x-a", NotUnique, twice}}},
		"both lists":        {headers(fields{"X-A": "1"}), fields{"secretHeaders": fields{"x-a": "2"}}, []Fault{{"secretHeaders.x-a", NotUnique, twice}}},
		"short secret":      {fields{"url": url}, fields{"signingSecrets": []string{key(23)}}, []Fault{{"signingSecrets.0", WrongFormat, signing}}},
		"long secret":       {fields{"url": url}, fields{"signingSecrets": []string{key(24), key(65)}}, []Fault{{"signingSecrets.1", WrongFormat, signing}}},
		"secret, no prefix": {fields{"url": url}, fields{"signingSecrets": []string{oldSecret[6:]}}, []Fault{{"signingSecrets.0", WrongFormat, signing}}},
		"secret, no base64": {fields{"url": url}, fields{"signingSecrets": []string{oldSecret[:37] + "!"}}, []Fault{{"signingSecrets.0", WrongFormat, signing}}},
		"secret, two lines": {fields{"url": url}, fields{"signingSecrets": []string{oldSecret + "\n"}}, []Fault{{"signingSecrets.0", WrongFormat, signing}}},
		"all at once": {
			fields{"url": "ftp://a/", "headers": fields{"Host": "a\n"}, "method": "GET", "body": "a"},
			fields{"secretHeaders": fields{"TE": ""}, "signingSecrets": []string{"a", "b"}},
			[]Fault{
				{"url", NotAllowed, "the URL must begin with http:// or https://"},
				{"headers.Host", NotAllowed, connection},
				{"headers.Host", WrongFormat, control},
				{"secretHeaders.TE", NotAllowed, connection},
				{"signingSecrets.0", WrongFormat, signing},
				{"signingSecrets.1", WrongFormat, signing},
				{"body", Conflicting, "cannot be sent with GET"},
			},
		},
	} {
		run := newRun(t, row.definition, row.secrets)
		require.Equal(t, row.want, target.Check(run.Definition, run.Secrets), "%s", what)
	}
}
