package main

import (
	"os"
	"runtime/debug"
)

// softLimit is where the garbage collector begins to work harder. By itself it
// would let the heap grow to twice what is live, and most of what is live are
// batches in flight, which are bounded.
const softLimit = 192 << 20

// limitMemory sets the soft limit of the heap, unless GOMEMLIMIT does.
func limitMemory() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(softLimit)
	}
}
