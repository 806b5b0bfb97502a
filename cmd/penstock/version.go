package main

import "runtime/debug"

// version and built are set by the linker in a release:
//
//	go build -ldflags "-X main.version=v1.2.3 -X main.built=2026-01-02T15:04:05Z"
//
// Otherwise the stamps that the go command leaves in every binary tell.
var version, built string

// buildStamp returns the version (a tag, or the commit where there is none) and
// the time of the commit.
func buildStamp() (string, string) {
	v, b := version, built
	if info, ok := debug.ReadBuildInfo(); ok {
		revision, modified := "", ""
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				revision = s.Value[:min(len(s.Value), 12)]
			case s.Key == "vcs.modified" && s.Value == "true":
				modified = "+changes"
			case s.Key == "vcs.time" && b == "":
				b = s.Value
			}
		}
		switch {
		case v != "":
		case info.Main.Version != "" && info.Main.Version != "(devel)":
			v = info.Main.Version
		case revision != "":
			v = revision + modified
		}
	}
	if v == "" {
		v = "(devel)"
	}
	if b == "" {
		b = "unknown"
	}
	return v, b
}
