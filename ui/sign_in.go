package ui

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"punctual/gen/client"
	"punctual/internal/answers"
)

// hasSignedOut is the parameter of the page for whoever has just signed out.
const hasSignedOut = "signed-out"

// showSignIn shows how to sign in.
func showSignIn(p *page) error {
	if p.session() == nil {
		return p.redirect("/")
	}
	p.takeNotice()
	end := ""
	if p.URL.Query().Has(hasSignedOut) {
		end = p.endOfSession()
	}
	return p.show("Sign in", signInPage(p, &form{}, localPath(p.URL.Query().Get("back")), end))
}

// signInByKey begins a session with an API key, if the API knows it.
func signInByKey(p *page) error {
	if p.session() == nil {
		return p.redirect("/")
	}
	f, err := p.readForm()
	if err != nil {
		return err
	}
	back := localPath(f.Get("back"))
	key := strings.TrimSpace(f.Get(sessionKey))
	p.trying = key
	switch err := p.try(); {
	case key == "" || isRefusedWith(err, http.StatusUnauthorized):
		f.problem = &client.Problem{Errors: &[]client.FieldError{{Field: sessionKey, Detail: "This is no valid key."}}}
		f.Del(sessionKey)
		p.status = http.StatusUnauthorized
		return p.show("Sign in", signInPage(p, f, back, ""))
	case err != nil:
		return err
	}
	if err := p.begin(map[string]string{sessionKey: key}, time.Time{}); err != nil {
		return err
	}
	return p.redirect(back)
}

// try asks the API who has the credentials that are being tried.
func (p *page) try() error {
	p.prefers.namespace = ""
	p.setCookie(namespaceCookie, "", 0)
	_, err := answers.Of[client.Caller](p.GetCaller(p.Context()))
	return err
}

func isRefusedWith(err error, status int32) bool {
	refused, is := errors.AsType[*answers.Refused](err)
	return is && refused.Status == status
}

// signOut ends the session.
func signOut(p *page) error {
	if p.session() != nil {
		if err := p.session().Destroy(p.Context()); err != nil {
			return err
		}
	}
	p.setCookie(namespaceCookie, "", 0)
	p.say("You are signed out.")
	return p.redirect("/sign-in?" + hasSignedOut)
}
