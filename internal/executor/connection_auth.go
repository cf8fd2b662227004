package executor

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/uuid"
	"golang.org/x/oauth2"
)

const authorization = "Authorization"

// Issuer is the claim iss of the tokens that the service signs.
const Issuer = "punctual"

// tokenLifetime is how long a token that the service signs is valid. It is made right before it is
// sent, so this is for clocks that differ.
const tokenLifetime = 5 * time.Minute

// Signer signs the tokens by which requests prove that the service sends them.
type Signer interface {
	// Sign returns a JSON Web Token with these claims. Its errors are for people to read, and quote
	// no secret.
	Sign(ctx context.Context, claims any) (string, error)
}

// claims are those of a token that the service signs.
type claims struct {
	jwt.Claims
	JobID   uuid.UUID `json:"jobId"`
	JobKey  string    `json:"jobKey,omitempty"`
	RunID   uuid.UUID `json:"runId"`
	Attempt int       `json:"attempt"`
}

var errNoSigner = errors.New("this instance signs no tokens")

// authorize adds the header by which the connection proves who sends the request, unless the target
// has one of its own. It returns the access token that it has used, if any.
func (x *exchange) authorize(ctx context.Context) (*oauth2.Token, error) {
	if x.connection == nil {
		return nil, nil //nolint:nilnil // no token
	}
	if own, hasOwn := x.secrets.Headers[authorization]; hasOwn && own != x.authorized {
		return nil, nil //nolint:nilnil // no token
	}
	var proof *oauth2.Token
	auth := &x.connection.Auth
	switch auth.Type {
	case AuthBasic:
		x.authorized = "Basic " + base64.StdEncoding.EncodeToString([]byte(auth.Username+":"+auth.Password))
	case AuthBearer:
		x.authorized = "Bearer " + auth.Token
	case AuthOAuth2:
		token, err := x.tokens.get(ctx)
		if err != nil {
			return nil, x.describeToken(ctx, err)
		}
		proof, x.authorized = token, token.Type()+" "+token.AccessToken
	case AuthJWT:
		token, err := x.signedToken(ctx)
		if err != nil {
			return nil, &Failure{Err: fmt.Errorf("no token could be signed: %w", err)}
		}
		x.authorized = "Bearer " + token
	case AuthNone:
		return nil, nil //nolint:nilnil // no token
	}
	x.secrets.Headers[authorization] = x.authorized
	x.hide = newRedactor(x.secrets)
	return proof, nil
}

// signedToken returns a token that names the job and the run.
func (x *exchange) signedToken(ctx context.Context) (string, error) {
	if x.signer == nil {
		return "", errNoSigner
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return "", fmt.Errorf("make the id of a token: %w", err)
	}
	now := time.Now()
	return x.signer.Sign(ctx, claims{
		Claims: jwt.Claims{
			Issuer: Issuer, Subject: x.run.Namespace, ID: id.String(),
			Audience: jwt.Audience{cmp.Or(x.connection.Auth.Audience, x.connection.BaseURL)},
			IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(tokenLifetime)),
		},
		JobID: x.run.JobID, JobKey: x.run.JobKey, RunID: x.run.ID, Attempt: x.run.Attempt,
	})
}
