package executor

import (
	"fmt"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/registry"
)

// edited reports whether a migration began with another content of its Work than
// is here: half of a table by one and half by another is nothing that anybody asked for.
func edited(c *control.Candidate, work registry.Work) bool {
	return c.Started() && c.WorkDigest != work.Digest
}

// editedReason says what to do about it.
func editedReason(c *control.Candidate, work registry.Work) string {
	return fmt.Sprintf("waits: the work %q changed after the migration had begun: it was %s and is %s here; put it back as it was, or let the migration go on with what is there now: bbmd plugins approve %s",
		c.Work, content(c.WorkDigest), content(work.Digest), c.Work)
}

// content describes a digest for people.
func content(digest string) string {
	const shown = len("sha256:") + 12
	switch {
	case digest == "":
		return "compiled in"
	case len(digest) > shown:
		return digest[:shown]
	default:
		return digest
	}
}

// replaced reports whether a worker goes on with a Work that its migration, or
// the registry, has another content of by now. c is nil where the scan has not
// returned the migration.
func (e *Executor) replaced(r *running, c *control.Candidate) bool {
	if r.work.Digest == "" && (c == nil || c.WorkDigest == "") {
		return false // compiled in, as nearly always
	}
	if c != nil && edited(c, r.work) {
		return true
	}
	now, err := e.opts.Registry.Lookup(r.work.Name)
	return err != nil || now.Digest != r.work.Digest
}
