//go:build !race

package lifecycle_test

// raceDetector says whether the tests were built with -race.
const raceDetector = false
