// Package notify reports what PostgreSQL tells: events that mean "something
// changed, look". An event carries nothing that has to be trusted or delivered.
package notify
