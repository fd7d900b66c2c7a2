// Package compose holds the tests that keep docker-compose.yml and the
// Dockerfile right on machines without an engine to run them: both are parsed,
// and what they say is compared with what bbmd has.
package compose
