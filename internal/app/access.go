package app

import "punctual/internal/access"

// authenticator finds out who makes a request. It is nil if nobody has to say who they are.
func (a *App) authenticator() *access.Authenticator {
	if !a.config.needsAuth() {
		return nil
	}
	who := &access.Authenticator{Keys: a.keys}
	if a.tokens.verifier != nil {
		who.Tokens = a.tokens.verifier
	}
	return who
}
