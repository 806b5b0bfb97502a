// Package stream follows a replication slot: one goroutine owns the socket,
// reads pgoutput messages, gathers changes into batches, and tells the server
// how far they are safe.
//
// The road of a message: [Reader] (socket, timers) → relation (what a tuple
// means) → assembler (batches by table) → [Delivery] → downstream → [Checkpoint]
// (what is acked) → Reader (status to the server).
package stream
