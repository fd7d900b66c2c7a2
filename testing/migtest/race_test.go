//go:build race

package migtest_test

const raceEnabled = true
