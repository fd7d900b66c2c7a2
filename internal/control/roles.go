package control

import (
	"context"
	"fmt"
	"strings"
)

// Kind is what a role is granted in the control schema; schema/0005_roles.sql says what that is.
type Kind string

// The kinds, each with what those below it may.
const (
	KindWorker   Kind = "worker"   // the daemon's login
	KindEnqueuer Kind = "enqueuer" // enqueues the Works that it was allowed, and steers
	KindReader   Kind = "reader"   // looks
)

// AllWorks stands for all Works, among those that an enqueuer is allowed.
const AllWorks = "*"

// Role is a role of the server and what it may do in the control schema.
type Role struct {
	Name  string
	Kind  Kind     // empty: nothing
	Works []string // that an enqueuer may enqueue; empty for the others
}

// String says in words what the role may.
func (r Role) String() string {
	switch {
	case r.Kind == "":
		return "role " + r.Name + " has nothing any more"
	case r.Kind != KindEnqueuer:
		return "role " + r.Name + " is a " + string(r.Kind)
	case len(r.Works) == 0:
		return "role " + r.Name + " is an enqueuer, of no Works: it may pause, resume, cancel and retry"
	default:
		return "role " + r.Name + " is an enqueuer of " + strings.Join(r.Works, ", ")
	}
}

// secureSQL ends an installation and an upgrade: PostgreSQL lets everybody execute a new function, and those who were granted
// something have nothing yet on what is new.
const secureSQL = `
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA @schema@ FROM PUBLIC;
SELECT bbm.grant_role(r.role, r.kind, r.works) FROM bbm.roles r JOIN pg_catalog.pg_roles p ON p.rolname = r.role`

// Grant gives a role what its kind needs in the control schema, and takes what else it had there. The role has to be there. It
// takes the schema's owner to grant, who is none of the kinds. The error is a [RefusalError] where the request is at fault.
func (s Store) Grant(ctx context.Context, db DB, r Role) error {
	var err error
	if r.Kind == "" {
		_, err = db.Exec(ctx, s.sql("SELECT bbm.revoke_role($1)"), r.Name)
	} else {
		_, err = db.Exec(ctx, s.sql("SELECT bbm.grant_role($1, $2, $3)"), r.Name, r.Kind, append([]string{}, r.Works...))
	}
	if err != nil {
		return fmt.Errorf("grant role %s what it needs: %w", r.Name, refusal(err))
	}
	return nil
}

// script returns the statement that grants it, for people.
func (s Store) script(r Role) string {
	if r.Kind == "" {
		return "SELECT " + s.Schema() + ".revoke_role(" + literal(r.Name) + ")"
	}
	works := make([]string, 0, len(r.Works))
	for _, work := range r.Works {
		works = append(works, literal(work))
	}
	return fmt.Sprintf("SELECT %s.grant_role(%s, %s, ARRAY[%s]::text[])", s.Schema(), literal(r.Name), literal(string(r.Kind)), strings.Join(works, ", "))
}

// literal quotes a text for SQL.
func literal(text string) string {
	quoted := "'" + strings.ReplaceAll(text, "'", "''") + "'"
	if strings.Contains(text, `\`) {
		return " E" + strings.ReplaceAll(quoted, `\`, `\\`)
	}
	return quoted
}
