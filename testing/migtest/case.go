package migtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/bbmd-dev/bbmd/registry"
)

// Case is a Work, a table to try it on, and what it has to leave. Work, Table,
// Setup and Want are required.
type Case struct {
	// Work to try. It need not be registered.
	Work registry.Work

	// Setup is SQL, any number of statements, that makes and fills everything the
	// Work needs in an empty database, as a superuser. A few dozen rows are good:
	// at least 12, and every batch of one row is run.
	Setup string

	// Table is the migration's, as one writes it in SQL.
	Table string

	// Columns of the key that the batches walk along, in their order. Defaults to
	// the primary key's.
	Columns []string

	// Arguments of the migration: a JSON object. Defaults to {}.
	Arguments string

	// Refused are arguments that the Work must not accept: its validation or its
	// Check has to refuse each. An unknown name is tried anyway.
	Refused []string

	// Want checks the database after all batches have run.
	Want Want

	// Once says that a Work which processes a row twice changes it twice, as
	// n = n + 1 does. That is fine, since a row is processed by exactly one
	// committed batch; without it every Work is also run a second time, which must
	// change nothing.
	Once bool

	// Alone says that batches of the Work do not run side by side, and that its
	// migrations are enqueued with a parallelism of 1, the default.
	Alone bool

	// Volatile columns differ from run to run, such as a time or a number from a
	// sequence, and are left out where runs are compared. A name alone is a column
	// of Table, "log.id" one of another table, without its schema.
	Volatile []string
}

// Run tries the case's Work, in subtests that run in parallel once the first
// has passed.
func Run(t *testing.T, c Case) {
	t.Helper()
	if err := c.complete(); err != nil {
		t.Fatal(err)
	}
	var reference outcome
	if !t.Run(firstCheck, func(t *testing.T) { newTrial(t, &c, nil).oneBatch(&reference) }) {
		return // all else would fail for the same reason
	}
	for _, check := range checks(&c) {
		t.Run(check.name, func(t *testing.T) {
			t.Parallel()
			check.run(newTrial(t, &c, &reference))
		})
	}
	t.Run(executorCheck, func(t *testing.T) {
		t.Parallel()
		newControlTrial(t, &c, &reference).executor()
	})
}

// The checks that come before all others, and run on a database with the control schema.
const (
	firstCheck    = "one batch"
	executorCheck = "executor"
)

// check is one thing to try.
type check struct {
	name string
	run  func(*trial)
}

func checks(c *Case) []check {
	all := []check{
		{"arguments", (*trial).arguments},
		{"check", (*trial).preflight},
		{"batches of 1", func(r *trial) { r.batchesOf(1) }},
		{"batches of 3", func(r *trial) { r.batchesOf(3) }},
		{"batches of 10", func(r *trial) { r.batchesOf(10) }},
		{"batches in random order", (*trial).randomOrder},
		{"rolled back", (*trial).rolledBack},
		{"second attempts", (*trial).secondAttempts},
		{"stays in its range", (*trial).staysInRange},
		{"empty range", (*trial).emptyRange},
		{"keys with gaps", (*trial).gaps},
		{"row that somebody writes", (*trial).heldRows},
		{"table that somebody writes", (*trial).storm},
	}
	if !c.Once {
		all = append(all, check{"twice", (*trial).twice})
	}
	if !c.Alone {
		all = append(all, check{"batches side by side", (*trial).sideBySide})
	}
	if c.Work.Verify != nil {
		all = append(all, check{"verify", (*trial).verify})
	}
	return all
}

// complete fills in the defaults, and says everything that is missing.
func (c *Case) complete() error {
	var problems []string
	for name, missing := range map[string]bool{
		"Setup": strings.TrimSpace(c.Setup) == "", "Table": c.Table == "", "Want": c.Want == nil,
	} {
		if missing {
			problems = append(problems, name+" is missing")
		}
	}
	if c.Arguments == "" {
		c.Arguments = "{}"
	}
	if err := registry.New().Register(c.Work); err != nil {
		problems = append(problems, err.Error())
	}
	if len(problems) > 0 {
		return errors.New("case: " + strings.Join(problems, "; "))
	}
	return nil
}

// migration is what the Work is told of the migration.
func (c *Case) migration(s subject) registry.Migration {
	return registry.Migration{Name: migrationName, Table: s.table, Key: s.key, Arguments: json.RawMessage(c.Arguments)}
}

const migrationName = "migtest"

// arguments checks that the Work takes the case's arguments and refuses others.
func (r *trial) arguments() {
	if err := r.Work.ValidateArguments([]byte(r.Arguments)); err != nil {
		r.t.Fatalf("the case's arguments are refused: %v", err)
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal([]byte(r.Arguments), &object); err != nil {
		r.t.Fatalf("Arguments are not a JSON object: %v", err)
	}
	object["no_such_argument"] = json.RawMessage("true")
	unknown, err := json.Marshal(object)
	r.must(err, "render arguments")
	for _, arguments := range []string{string(unknown), "[]", "null"} {
		if r.Work.ValidateArguments([]byte(arguments)) == nil {
			r.t.Errorf("the Work accepts the arguments %s: decode them with registry.Decode, and leave validation to Work.Arguments", arguments)
		}
	}
	for _, arguments := range r.Refused {
		if r.refusal(arguments) == nil {
			r.t.Errorf("the Work accepts the arguments %s, which Refused lists", arguments)
		}
	}
}

// refusal returns why the Work does not take the arguments.
func (r *trial) refusal(arguments string) error {
	if err := r.Work.ValidateArguments([]byte(arguments)); err != nil || r.Work.Check == nil {
		return err
	}
	m := r.migration(r.at)
	m.Arguments = json.RawMessage(arguments)
	return r.Work.Check(r.t.Context(), r.conn(), m)
}

// preflight checks that the Work's Check lets the migration start, and only reads.
func (r *trial) preflight() {
	if r.Work.Check == nil {
		r.t.Skip("the Work has no Check")
	}
	tx := r.readOnly()
	if err := r.Work.Check(r.t.Context(), tx, r.migration(r.at)); err != nil {
		r.t.Fatal(fmt.Errorf("the Work's Check refuses the case's table: %w", err))
	}
}
