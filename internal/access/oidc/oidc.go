// Package oidc verifies the tokens of an identity provider: JSON Web Tokens of an OpenID Connect
// issuer. Claims of a token decide in which namespaces its bearer has which rights.
package oidc

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"punctual/internal/access"
)

const (
	// maxSkew is how far the clocks of the issuer and of this machine may differ. A token is
	// accepted this much before its nbf and after its exp.
	maxSkew = 30 * time.Second
	// maxToken bounds a token, in bytes. Tokens with hundreds of groups have about 10 KB.
	maxToken = 16 << 10
)

// algorithms are those whose signatures only the issuer can make. HMAC is not among them, since its
// key would be one that everybody knows.
var algorithms = []string{
	oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512,
	oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA,
}

// types are the media types of access tokens, of tokens that do not say what they are, and of ID
// tokens, whose audience tells whether they are for this service. A logout token is of another one.
var types = []string{"", "jwt", "at+jwt", "application/at+jwt"}

// validSubject matches the subjects that OpenID Connect allows, as far as they can be shown.
var validSubject = regexp.MustCompile(`^[!-~]{1,255}$`)

// Config is what a Verifier needs. Zero means default, except for Issuer and Audience.
type Config struct {
	// Issuer is the URL of the issuer, as the claim iss has it.
	Issuer string
	// Audience is what a token for this service has in its claim aud.
	Audience string
	Grants   Grants
	Logger   *slog.Logger
	// Now is the clock that tells whether a token has expired. Default: time.Now.
	Now func() time.Time
}

// Verifier verifies tokens. It knows the issuer's keys only after Run has found them. Safe for
// concurrent use.
type Verifier struct {
	config Config
	trust  atomic.Pointer[trust]
}

// New returns a Verifier, or an error that names the wrong setting.
func New(c Config) (*Verifier, error) {
	c.Logger = cmp.Or(c.Logger, slog.Default())
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Verifier{config: c}, Validate(c.Issuer, c.Audience, c.Grants)
}

// Validate returns an error unless the settings fit together.
func Validate(issuer, audience string, grants Grants) error {
	if issuer == "" {
		if audience != "" || grants.Len() > 0 {
			return errors.New("OIDC_ISSUER is required with OIDC_AUDIENCE and OIDC_GRANTS")
		}
		return nil
	}
	var errs []error
	u, err := url.Parse(issuer)
	switch {
	case err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		errs = append(errs, errors.New("OIDC_ISSUER must be a URL such as https://login.example.com/realms/main"))
	case u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())):
		// Whoever can change the issuer's keys on their way can make tokens.
		errs = append(errs, errors.New("OIDC_ISSUER must be an https URL, or an http URL of this machine"))
	}
	if audience == "" {
		errs = append(errs, errors.New("OIDC_AUDIENCE is required with OIDC_ISSUER: what the tokens for this service have in their claim aud"))
	}
	if grants.Validate() == nil && grants.Len() == 0 {
		errs = append(errs, errors.New("OIDC_GRANTS is required with OIDC_ISSUER: without a grant no token may do anything"))
	}
	return errors.Join(errs...)
}

// Verify implements access.Verifier.
func (v *Verifier) Verify(ctx context.Context, token string) (access.Caller, error) {
	trust := v.trust.Load()
	if trust == nil {
		return access.Caller{}, access.ErrIssuerUnavailable
	}
	digest := sha256.Sum256([]byte(token))
	known, isKnown := trust.known.Get(digest)
	if !isKnown {
		if trust.before == nil || !trust.before.Contains(digest) {
			if err := access.BeginAttempt(ctx); err != nil {
				return access.Caller{}, err
			}
		}
		var err error
		if known, err = v.verify(ctx, trust, token); err != nil {
			return access.Caller{}, err
		}
	}
	if err := known.isCurrent(v.config.Now()); err != nil {
		return access.Caller{}, err
	}
	if !isKnown {
		trust.known.Add(digest, known)
	}
	return known.identity.caller()
}

// verified is a token whose signature, issuer and audience were right.
type verified struct {
	identity             *identity
	notBefore, expiresAt time.Time
}

func (v verified) isCurrent(now time.Time) error {
	if now.After(v.expiresAt.Add(maxSkew)) {
		return access.ErrExpired
	}
	if now.Before(v.notBefore.Add(-maxSkew)) {
		return fmt.Errorf("%w: it is not valid before %s", access.ErrInvalid, v.notBefore.UTC().Format(time.RFC3339))
	}
	return nil
}

func (v *Verifier) verify(ctx context.Context, trust *trust, token string) (verified, error) {
	if err := checkForm(token); err != nil {
		return verified{}, fmt.Errorf("%w: %w", access.ErrInvalid, err)
	}
	var unavailable error
	parsed, err := trust.verifier.Verify(context.WithValue(ctx, unavailableKey{}, &unavailable), token)
	if unavailable != nil {
		return verified{}, fmt.Errorf("%w: %w", access.ErrIssuerUnavailable, unavailable)
	}
	if err != nil {
		return verified{}, fmt.Errorf("%w: %w", access.ErrInvalid, err)
	}
	if !validSubject.MatchString(parsed.Subject) {
		return verified{}, fmt.Errorf("%w: its subject is not 1 to 255 visible characters of ASCII", access.ErrInvalid)
	}
	var claims map[string]any
	if err := parsed.Claims(&claims); err != nil {
		return verified{}, fmt.Errorf("%w: %w", access.ErrInvalid, err)
	}
	return verified{
		identity: newIdentity(parsed.Subject, v.config.Grants.of(claims)),
		// The package oidc allows nbf more skew than we do, and checks neither of the two here.
		notBefore: seconds(claims["nbf"]), expiresAt: parsed.Expiry,
	}, nil
}

// seconds returns the instant of a claim, or the zero Time if it has none.
func seconds(claim any) time.Time {
	if n, ok := claim.(float64); ok {
		return time.Unix(int64(n), 0)
	}
	return time.Time{}
}

// checkForm returns an error unless a token is a signed JSON Web Token of an accepted type.
func checkForm(token string) error {
	if len(token) > maxToken {
		return fmt.Errorf("it has more than %d bytes", maxToken)
	}
	head, rest, _ := strings.Cut(token, ".")
	if strings.Count(rest, ".") != 1 {
		return errors.New("it is not a JSON Web Token")
	}
	var header struct {
		Type string `json:"typ"`
	}
	raw, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil || json.Unmarshal(raw, &header) != nil {
		return errors.New("it is not a JSON Web Token")
	}
	if !slices.Contains(types, strings.ToLower(header.Type)) {
		return errors.New("it is not an access token")
	}
	return nil
}
