// Package docs holds the guides, and the reference that is generated from the
// components' own descriptions of their fields. A test of docs/generate fails
// where the reference is not what would be generated.
package docs

//go:generate go run ./generate .
