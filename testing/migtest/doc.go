// Package migtest is a kit for people who write Works. A test says what the Work
// is, fills a table, and says what has to be true in the end:
//
//	func TestNormalizeEmail(t *testing.T) {
//		migtest.Run(t, migtest.Case{
//			Work:  normalizeEmail,
//			Table: "users",
//			Setup: `CREATE TABLE users (id bigint PRIMARY KEY, email text, email_norm text);
//				INSERT INTO users SELECT i, 'User' || i || '@Example.com' FROM generate_series(1, 30) i`,
//			Want: migtest.NoRows("SELECT id FROM users WHERE email_norm IS DISTINCT FROM lower(email)"),
//		})
//	}
//
// [Run] then tries what happens to a Work in production: the table in one batch
// and in many, on a new session after every batch, in any order and side by
// side, twice, rolled back, with rows that went away, with an application that
// writes to the same rows, and under the real executor, whose sessions it kills.
// Each check runs on a database of its own, in parallel.
//
// It guarantees that a check which passes has met the Work at work: a table with
// too few rows, a Work that changes nothing, and a Verify that finds nothing
// wrong beforehand fail. It refuses nothing that a Work may do by its contract;
// where a Work differs by its nature, such as by adding one to a column, the
// [Case] says so.
//
// [Try] does the same without the go command, for Works that are not compiled
// into a test: those of plugins.
//
// It needs a PostgreSQL server's programs, which it finds where systems install
// them and runs privately, or the URL of a superuser on a running server in
// BBMD_TEST_SERVER. The server ends with the test's process.
package migtest
