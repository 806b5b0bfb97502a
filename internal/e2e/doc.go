// Package e2e holds the tests of the whole road, from a real PostgreSQL through
// a pipeline as users write it into a real ClickHouse. What arrives is compared
// with package verify, which shares no code with the pipeline.
package e2e
