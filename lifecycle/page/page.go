// Package page is the web page of the API: one self-contained document that
// shows the pipes, live, and commands them.
package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"net/http"
)

//go:embed page.html style.css *.js
var files embed.FS

// scripts in the order in which they build upon one another.
func scripts() []string {
	return []string{"text.js", "course.js", "chart.js", "tables.js", "pipe.js", "app.js"}
}

// Handler serves the page. It loads nothing from elsewhere, and the policy it
// is sent with holds it to that: its own script and style, told by their
// digests, and requests to its own origin.
func Handler() http.Handler {
	document, policy := assemble()
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", policy)
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Frame-Options", "DENY")
		_, _ = w.Write(document) // the reader went away
	})
}

// assemble puts style and scripts into the document.
func assemble() (document []byte, policy string) {
	style := read("style.css")
	script := []byte("\"use strict\";\n")
	for _, name := range scripts() {
		script = append(script, read(name)...)
	}
	document = read("page.html")
	document = bytes.Replace(document, []byte("<style></style>"), wrap("style", style), 1)
	document = bytes.Replace(document, []byte("<script></script>"), wrap("script", script), 1)
	return document, "default-src 'none'; script-src " + digest(script) + "; style-src " + digest(style) +
		"; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}

// read returns an embedded file; that it is there is settled when we compile.
func read(name string) []byte {
	b, err := files.ReadFile(name)
	if err != nil {
		return nil
	}
	return b
}

func wrap(element string, content []byte) []byte {
	return append(append([]byte("<"+element+">"), content...), "</"+element+">"...)
}

// digest returns the CSP source that allows one inline element.
func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
