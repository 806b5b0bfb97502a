package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"strings"
)

// guard decides who may make a request. Three kinds of callers are kept out:
//
//   - one without the token, where there is one;
//   - a page of another origin in the browser of somebody who can reach us: its
//     state-changing requests are refused by what the browser says of them
//     (Sec-Fetch-Site, Origin), with a token or without;
//   - a page whose host name was made to resolve to this machine (DNS
//     rebinding), so that the browser takes it for our own origin: where only
//     this machine is served, and no token protects it, the Host header must
//     name this machine.
type guard struct {
	next     http.Handler
	token    [sha256.Size]byte
	hasToken bool
	loopback bool
	origin   *http.CrossOriginProtection
	// open says which paths need no token.
	open func(path string) bool
}

func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	if g.loopback && !g.hasToken && !localHost(r.Host) {
		fail(w, &Problem{
			Code:    http.StatusMisdirectedRequest,
			Message: "this API serves its own machine only, and the request's Host header names another",
			Fix:     "call it by 127.0.0.1 or localhost; behind a proxy, set lifecycle.api_token",
		})
		return
	}
	if g.origin.Check(r) != nil {
		fail(w, &Problem{
			Code:    http.StatusForbidden,
			Message: "a page of another origin may not command a pipe",
			Fix:     "use the page that this address serves, or a client that is not a browser",
		})
		return
	}
	if g.hasToken && !g.open(r.URL.Path) && !g.authorized(r) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="penstock"`)
		fail(w, &Problem{
			Code:    http.StatusUnauthorized,
			Message: "the token is missing or wrong",
			Fix:     "send the header Authorization: Bearer <lifecycle.api_token>",
		})
		return
	}
	g.next.ServeHTTP(w, r)
}

// authorized compares digests, so that neither the token's bytes nor its length
// show in the time it takes.
func (g *guard) authorized(r *http.Request) bool {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	given := sha256.Sum256([]byte(strings.TrimSpace(token)))
	return subtle.ConstantTimeCompare(given[:], g.token[:]) == 1 && strings.EqualFold(scheme, "Bearer")
}

// localHost says whether a Host header names this machine.
func localHost(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.ToLower(strings.Trim(host, "[]")), ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true // RFC 6761: never resolved to another machine
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
