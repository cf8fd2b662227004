package ui

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/a-h/templ"

	"punctual/gen/client"
	"punctual/internal/answers"
)

// page is a request for a page, and what is known of whoever looks at it.
type page struct {
	*client.Client // asks the API with the rights of the caller
	*http.Request
	w         http.ResponseWriter
	dashboard *dashboard
	caller    client.Caller
	prefers   preferences
	// requestID is the id of the request, which those to the API have, too.
	requestID string
	// now is when the page is made.
	now time.Time
	// status is that of the answer.
	status int
	// trying are the credentials of somebody who is about to sign in.
	trying string
	// notice is what has just been done, to be shown once.
	notice notice
}

// can reports whether the caller has a scope in the namespace of the page. What they may not do is
// not shown.
func (p *page) can(scope client.Scope) bool { return slices.Contains(p.caller.Scopes, scope) }

// serve makes a handler of a function that shows a page, or redirects.
func (d *dashboard) serve(show func(*page) error) http.Handler {
	return d.serveOpen(func(p *page) error {
		if err := p.know(); err != nil {
			return err
		}
		p.takeNotice()
		return show(p)
	})
}

// serveOpen is serve for pages that do not know who looks at them.
func (d *dashboard) serveOpen(show func(*page) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := d.newPage(w, r)
		if err := show(p); err != nil {
			p.fail(err)
		}
	})
}

func (d *dashboard) newPage(w http.ResponseWriter, r *http.Request) *page {
	p := &page{
		Request: r, w: w, dashboard: d, prefers: preferencesOf(r), requestID: w.Header().Get("X-Request-Id"), now: time.Now(),
		status: http.StatusOK,
	}
	p.Client = &client.Client{
		Server: d.api.Server, Client: d.api.Client, RequestEditors: []client.RequestEditorFn{p.identify},
	}
	return p
}

// identify makes a request to the API one of the caller: it comes from the same address, for the
// same host, with their credentials, in the namespace that was chosen.
func (p *page) identify(ctx context.Context, r *http.Request) error {
	r.Host, r.RemoteAddr = p.Host, p.RemoteAddr
	if p.requestID != "" {
		r.Header.Set("X-Request-Id", p.requestID)
	}
	if p.prefers.namespace != "" {
		r.Header.Set("Punctual-Namespace", p.prefers.namespace)
	}
	credentials := p.trying
	if credentials == "" {
		var err error
		if credentials, err = p.credentials(ctx); err != nil {
			return err
		}
	}
	if credentials != "" {
		r.Header.Set("Authorization", "Bearer "+credentials)
	}
	return nil
}

// know finds out who the caller is. A namespace that is not theirs, or that was deleted, is
// forgotten.
func (p *page) know() (err error) {
	p.caller, err = answers.Of[client.Caller](p.GetCaller(p.Context()))
	if answers.IsRefused(err, "namespace-not-found") && p.prefers.namespace != "" {
		p.notice = notice{text: "There is no namespace " + p.prefers.namespace + " that you may see.", isFailed: true}
		p.setCookie(namespaceCookie, "", 0)
		p.prefers.namespace = ""
		p.caller, err = answers.Of[client.Caller](p.GetCaller(p.Context()))
	}
	return err
}

// showPart answers with a part of a page, for a script.
func (p *page) showPart(content templ.Component) error {
	p.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	p.w.WriteHeader(http.StatusOK)
	return content.Render(p.Context(), p.w)
}

// show answers with a page, within the frame that all pages have.
func (p *page) show(title string, content templ.Component) error {
	p.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	p.w.WriteHeader(p.status)
	if p.Method == http.MethodHead {
		return nil
	}
	ctx := templ.WithChildren(p.Context(), content)
	if err := layout(p, title).Render(ctx, p.w); err != nil {
		p.dashboard.Logger.DebugContext(p.Context(), "page not written", "error", err) // the client has gone
	}
	return nil
}

// redirect answers a form that was accepted.
func (p *page) redirect(path string) error {
	http.Redirect(p.w, p.Request, path, http.StatusSeeOther)
	return nil
}

// back answers a form that can be on any page, with the page that it was on.
func (p *page) back() error { return p.redirect(localPath(p.PostFormValue("back"))) }

// maxPath is how long a path may be to which a form or a cookie leads back.
const maxPath = 2000

// localPath returns a path of this service, with its query. What is none becomes the home page, so
// that nobody can be led elsewhere.
func localPath(path string) string {
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsAny(path, "\\\r\n\t") || len(path) > maxPath {
		return "/"
	}
	return path
}

// path is that of the page, with its query.
func (p *page) path() string { return p.URL.RequestURI() }

// fail shows an error as a page.
func (p *page) fail(err error) {
	if p.Context().Err() != nil {
		panic(http.ErrAbortHandler) // the client has gone
	}
	problem := client.Problem{
		Status: http.StatusInternalServerError, Code: "internal-error", Title: "The page cannot be shown",
		Detail: "Something went wrong. The log of the service says what.",
	}
	if refused, is := errors.AsType[*answers.Refused](err); is {
		problem = refused.Problem
		if problem.Status == http.StatusUnauthorized && p.session() != nil {
			if p.session().Token(p.Context()) != "" {
				_ = p.session().Destroy(p.Context()) // it is of no use any more
			}
			_ = p.signIn()
			return
		}
	} else {
		p.dashboard.Logger.ErrorContext(p.Context(), "page not shown", "error", err)
	}
	p.status = int(problem.Status)
	_ = p.show(problem.Title, problemPage(p, problem))
}

// notFound is the page of what does not exist.
func notFound(*page) error {
	return refusal(http.StatusNotFound, "path-not-found", "There is no such page.")
}
