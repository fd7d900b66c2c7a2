package pgtest

import (
	"context"
	"net/url"
	"testing"
)

// Absent returns a database of d's server that is not there, for tests of who creates it. It is d's name and a suffix, and
// goes away with the test, whoever has made it.
func (d *Database) Absent(tb testing.TB, suffix string) *Database {
	tb.Helper()
	link, err := url.Parse(d.URL)
	if err != nil {
		tb.Fatalf("read the address of %s: %v", d.Name, err)
	}
	absent := &Database{Name: d.Name + suffix, superuser: d.superuser}
	link.Path = "/" + absent.Name
	absent.URL = link.String()
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), deadline)
		defer cancel()
		if err := drop(ctx, d.Superuser(tb).URL, absent.Name); err != nil {
			tb.Errorf("drop the database that the test had made: %v", err)
		}
	})
	return absent
}
