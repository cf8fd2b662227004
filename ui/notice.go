package ui

import (
	"net/url"
	"strings"
)

// notice is what has just been done, or why it could not be done.
type notice struct {
	text     string
	isFailed bool
}

const (
	noticeCookie = "notice"
	noticeKept   = 60   // seconds
	noticeLength = 1000 // in bytes; browsers keep cookies of 4 KiB
)

// say makes the next page say that something was done.
func (p *page) say(text string) { p.leave("+", text) }

// complain makes the next page say why something could not be done.
func (p *page) complain(text string) { p.leave("-", text) }

func (p *page) leave(kind, text string) {
	p.setCookie(noticeCookie, kind+strings.ToValidUTF8(text[:min(len(text), noticeLength)], ""), noticeKept)
}

// takeNotice reads what the last page has left, once.
func (p *page) takeNotice() {
	cookie, err := p.Cookie(noticeCookie)
	if err != nil {
		return
	}
	text, err := url.QueryUnescape(cookie.Value)
	if err != nil || text == "" {
		return
	}
	if p.Method != "GET" || strings.HasPrefix(p.URL.Path, "/live") {
		return
	}
	p.notice = notice{text: text[1:], isFailed: text[0] == '-'}
	p.setCookie(noticeCookie, "", 0)
}
