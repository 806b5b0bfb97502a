// Package browser checks the status page in a real Chromium: that every phase
// is shown for what it is, that commands reach the API and come back live, and
// that nothing that a database may be named becomes more than text.
//
// The checks themselves are the Node scripts in checks, which drive the browser
// with Playwright; the pipes they look at are those of lifecycle/internal/scene.
package browser
