// Package lifecycle is the life of a pipe: the phase it is in, how it gets to
// the next one, what it must remember to survive a crash, and how people and
// programs watch and command it.
//
// The input drives a [Pipe]: it opens one, moves it from phase to phase as the
// work goes on, and obeys what is asked of it over HTTP. Everything that must
// outlive the process is in a [State], which a [Store] keeps; [Pipe.Update],
// [Pipe.To] and the commands return when the change is durable, never before.
//
// A [Host] is what the pipes of one process share: an HTTP server per address,
// one metrics registry. It is found through the engine's resources, so that
// nothing lives at package level and two engines in one process do not meet.
//
// phases.go holds the life cycle itself, docs/metrics.md tells how to read what
// is measured.
package lifecycle
