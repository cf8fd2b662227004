package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"punctual/internal/access/oidc"
	"punctual/internal/app"
)

// providerDir has an OpenID Connect provider, as a program of Node.js.
const providerDir = "testdata/provider"

// tokenAudience is what tokens for the service have in their claim aud.
const tokenAudience = "https://punctual.example.com"

// providerClient is a program that gets tokens from the provider, with some claims.
type providerClient struct {
	ID     string         `json:"id"`
	Secret string         `json:"secret"`
	Claims map[string]any `json:"claims"`
	// People are those who sign in to the client by a browser, each with the claims that their
	// tokens get. Such a client gets no tokens by itself.
	People map[string]map[string]any `json:"people,omitempty"`
}

// providerClients are those of each provider, by id. The grants of withTokens are for their claims.
var providerClients = map[string]providerClient{}

func init() {
	for id, claims := range map[string]map[string]any{
		"payments":  {"groups": []string{"staff", "payments-devs"}},
		"readers":   {"groups": "payments-readers"},
		"ops":       {"groups": []string{"staff", "ops"}},
		"strangers": {"groups": []string{"staff"}},
	} {
		providerClients[id] = providerClient{ID: id, Secret: "provider-secret-of-" + id, Claims: claims}
	}
	providerClients["dashboard"] = providerClient{ID: "dashboard", Secret: "provider-secret-of-dashboard", People: map[string]map[string]any{
		"paula": {"groups": []string{"payments-devs"}},
		"rita":  {"groups": []string{"payments-readers"}},
		"olga":  {"groups": []string{"staff", "ops"}},
		"steve": {"groups": []string{"staff"}},
		"nora":  {"groups": []string{"payments-devs", "billing-devs"}},
	}}
}

// withTokens lets the service accept tokens of an issuer.
func withTokens(t *testing.T, c app.Config, issuer string) app.Config {
	t.Helper()
	var err error
	c.Auth, c.OIDCIssuer, c.OIDCAudience = app.AuthRequired, issuer, tokenAudience
	c.OIDCGrants, err = oidc.ParseGrants(`[
		{"claim":"groups","value":"payments-devs","namespace":"payments","scopes":["jobs:read","jobs:write"]},
		{"claim":"groups","value":"billing-devs","namespace":"billing","scopes":["jobs:read"]},
		{"claim":"groups","value":"payments-readers","namespace":"payments","scopes":["jobs:read"]},
		{"claim":"groups","value":"ops","namespace":"*","scopes":["admin","jobs:read"]}
	]`)
	require.NoError(t, err)
	return c
}

// provider is a running provider.
type provider struct {
	Issuer string          `json:"issuer"`
	Key    jose.JSONWebKey `json:"key"`
	*exec.Cmd
	input io.Writer
	lines *bufio.Scanner
}

// installNode installs the packages that a directory locks, once for all tests.
func installNode(dir string) error {
	install, _ := installed.LoadOrStore(dir, sync.OnceValue(func() error {
		npm := exec.Command("npm", "ci", "--ignore-scripts")
		npm.Dir = dir
		if output, err := npm.CombinedOutput(); err != nil {
			return fmt.Errorf("npm ci: %w\n%s", err, output)
		}
		return nil
	}))
	return install.(func() error)()
}

var installed sync.Map

// startProvider starts a provider, with env added to its environment, and kills it at the test's
// end.
func startProvider(t *testing.T, env ...string) *provider {
	t.Helper()
	node := findNode(t)
	require.NoError(t, installNode(providerDir), "the provider is installed")
	var list []providerClient
	for _, c := range providerClients {
		list = append(list, c)
	}
	clients, err := json.Marshal(list)
	require.NoError(t, err)

	p := &provider{Cmd: exec.Command(node, "provider.js")}
	p.Dir, p.Env, p.Stderr = providerDir, append(append(os.Environ(), "CLIENTS="+string(clients)), env...), t.Output()
	p.input, err = p.StdinPipe()
	require.NoError(t, err)
	output, err := p.StdoutPipe()
	require.NoError(t, err)
	p.lines = bufio.NewScanner(output)
	require.NoError(t, p.Start())
	t.Cleanup(p.stop)
	p.read(t)
	return p
}

func (p *provider) stop() {
	_ = p.Process.Kill() // it may have ended
	_ = p.Wait()
}

// read reads which key the provider has. The library that it is made with prints notices as well.
func (p *provider) read(t *testing.T) {
	t.Helper()
	for p.lines.Scan() {
		if strings.HasPrefix(p.lines.Text(), "{") {
			require.NoError(t, json.Unmarshal(p.lines.Bytes(), p))
			return
		}
	}
	require.Fail(t, "the provider has ended")
}

// rotate makes the provider replace its key.
func (p *provider) rotate(t *testing.T) {
	t.Helper()
	_, err := io.WriteString(p.input, "rotate\n")
	require.NoError(t, err)
	before := p.Key.KeyID
	p.Key = jose.JSONWebKey{}
	p.read(t)
	require.NotEqual(t, before, p.Key.KeyID)
}

// token gets a token of a client from the provider.
func (p *provider) token(t *testing.T, client, audience string) string {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "resource": {audience}, "scope": {"read"}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.Issuer+"/token", strings.NewReader(form.Encode()))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(client, providerClients[client].Secret)
	answer, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { require.NoError(t, answer.Body.Close()) }()
	body, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, answer.StatusCode, "%s", body)
	var got struct {
		Token string `json:"access_token"`
	}
	require.NoError(t, json.Unmarshal(body, &got))
	return got.Token
}

// keyInEnv is the environment of a provider that takes the place of p.
func (p *provider) keyInEnv(t *testing.T) []string {
	t.Helper()
	key, err := json.Marshal(p.Key)
	require.NoError(t, err)
	at, err := url.Parse(p.Issuer)
	require.NoError(t, err)
	return []string{"KEY=" + string(key), "PORT=" + at.Port()}
}

// resign returns a token with its claims changed, signed by a key, whatever that is.
func resign(t *testing.T, token string, key jose.SigningKey, changed map[string]any) string {
	t.Helper()
	parsed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256})
	require.NoError(t, err)
	claims := map[string]any{}
	require.NoError(t, json.Unmarshal(parsed.UnsafePayloadWithoutVerification(), &claims))
	maps.Copy(claims, changed)
	payload, err := json.Marshal(claims)
	require.NoError(t, err)
	signer, err := jose.NewSigner(key, new(jose.SignerOptions).WithType("at+jwt"))
	require.NoError(t, err)
	signed, err := signer.Sign(payload)
	require.NoError(t, err)
	compact, err := signed.CompactSerialize()
	require.NoError(t, err)
	return compact
}
