package main

// The components a pipeline can be made of: those of Benthos that need nothing
// from outside, and ours.
import (
	_ "github.com/penstock/penstock/input"
	_ "github.com/penstock/penstock/output"
	_ "github.com/redpanda-data/benthos/v4/public/components/io"
	_ "github.com/redpanda-data/benthos/v4/public/components/pure"
)
