// Package page is the web page of the API: one self-contained document that
// shows the pipes, live, and commands them.
package page

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"net/http"
	"regexp"
)

//go:embed page.html
var document []byte

// Handler serves the page. It loads nothing from elsewhere, and the policy it
// is sent with holds it to that: its own script and style, told by their
// digests, and requests to its own origin.
func Handler() http.Handler {
	policy := fmt.Sprintf("default-src 'none'; script-src %s; style-src %s; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
		digests("script"), digests("style"))
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", policy)
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Frame-Options", "DENY")
		_, _ = w.Write(document) // the reader went away
	})
}

// digests returns the CSP sources of the document's elements of one kind.
func digests(element string) string {
	sources := ""
	for _, m := range regexp.MustCompile(`(?s)<`+element+`>(.*?)</`+element+`>`).FindAllSubmatch(document, -1) {
		sum := sha256.Sum256(m[1])
		sources += " 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	return sources[1:]
}
