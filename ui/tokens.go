package ui

import (
	"context"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// accessToken returns the token of the session. It replaces one that is about to expire, once for
// all requests of the session. It is empty if that cannot be done: then the session is over.
func (p *page) accessToken(ctx context.Context) (string, error) {
	s := p.session()
	token, refresh := s.GetString(ctx, sessionToken), s.GetString(ctx, sessionRefreshToken)
	expiry := s.GetInt64(ctx, sessionTokenExpiry)
	if expiry == 0 || time.Until(time.Unix(expiry, 0)) > refreshBefore || refresh == "" || p.dashboard.provider == nil {
		return token, nil // until it has expired
	}
	config, err := p.oauth()
	if err != nil {
		return "", err
	}
	got, err, _ := p.dashboard.provider.refreshes.Do(refresh, func() (any, error) {
		if tokens := p.stored(ctx); tokens.RefreshToken != refresh {
			return tokens, nil // another request has renewed it, or the session has ended
		}
		bounded := oidc.ClientContext(context.WithoutCancel(ctx), p.dashboard.provider.client)
		tokens, err := config.TokenSource(bounded, &oauth2.Token{RefreshToken: refresh}).Token()
		if err != nil {
			if other := p.stored(ctx); other.RefreshToken != refresh {
				return other, nil // another instance was faster
			}
			return nil, err
		}
		p.keep(ctx, tokens)
		_, _, err = s.Commit(context.WithoutCancel(ctx)) // before others find the old one, which is used up
		return tokens, err
	})
	if tokens, is := got.(*oauth2.Token); is && err == nil {
		p.keep(ctx, tokens)
		return tokens.AccessToken, nil
	}
	p.dashboard.Logger.InfoContext(ctx, "a session ends, because the identity provider gives no new token", "error", err)
	return "", nil
}

// storedWithin bounds reading the session again.
const storedWithin = 5 * time.Second

// stored returns the tokens of the session as it is stored now. It has none if it has ended.
func (p *page) stored(ctx context.Context) *oauth2.Token {
	s := p.session()
	// A context without the session that the request has read already.
	fresh, cancel := context.WithTimeout(context.Background(), storedWithin)
	defer cancel()
	now, err := s.Load(fresh, s.Token(ctx))
	if err != nil { // as far as is known, it is as it was
		return &oauth2.Token{RefreshToken: s.GetString(ctx, sessionRefreshToken)}
	}
	tokens := &oauth2.Token{AccessToken: s.GetString(now, sessionToken), RefreshToken: s.GetString(now, sessionRefreshToken)}
	if expiry := s.GetInt64(now, sessionTokenExpiry); expiry != 0 {
		tokens.Expiry = time.Unix(expiry, 0)
	}
	return tokens
}

// keep puts new tokens into the session.
func (p *page) keep(ctx context.Context, tokens *oauth2.Token) {
	p.session().Put(ctx, sessionToken, tokens.AccessToken)
	p.session().Put(ctx, sessionRefreshToken, tokens.RefreshToken)
	if !tokens.Expiry.IsZero() {
		p.session().Put(ctx, sessionTokenExpiry, tokens.Expiry.Unix())
	}
}
