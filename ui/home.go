package ui

// showHome shows what needs attention.
func showHome(p *page) error { return p.show("Home", homePage(p)) }
