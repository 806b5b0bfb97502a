// Package packagelist holds the list of npm packages that the development servers, and the driver of the browser tests,
// come from, each pinned to a version and to the hash of its contents. It lies here, away from internal/devstack which
// installs them, so that npm's own tools can update it in place (npm install --package-lock-only).
package packagelist

import _ "embed"

var (
	// Manifest is package.json: the name of each entry (postgres-17, clickhouse) and the package behind it.
	//go:embed package.json
	Manifest []byte
	// Lock is package-lock.json: the hash of each package. It records no download addresses, so that any mirror serves.
	//go:embed package-lock.json
	Lock []byte
	// Npmrc is .npmrc, which keeps download addresses out of the lock.
	//go:embed .npmrc
	Npmrc []byte
)
