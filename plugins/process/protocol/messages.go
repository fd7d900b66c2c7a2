package protocol

import "encoding/json"

// Version of the protocol, which both sides name in their first message.
const Version = 1

// Host is a message from bbmd to a child.
type Host interface{ fromHost() string }

// Child is a message from a child to bbmd.
type Child interface{ fromChild() string }

// Init is the first line that a child reads. It answers with [Hello].
type Init struct {
	Protocol int    `json:"protocol"` // Version
	Daemon   string `json:"daemon"`   // version of bbmd, for logs
	Plugin   string `json:"plugin"`   // the manifest's name
	MaxLine  int    `json:"max_line"` // the longest line either side may write, in bytes
}

// Column is one column of a key.
type Column struct {
	Name string `json:"name"` // unquoted
	Type string `json:"type"` // as PostgreSQL's format_type prints it
}

// Task is what a batch, a verification and a check have in common.
type Task struct {
	ID         int64           `json:"id"`          // to be repeated in every answer
	Work       string          `json:"work"`        // the name of the Work, as the manifest has it
	Migration  string          `json:"migration"`   // unique name of the migration
	Table      string          `json:"table"`       // qualified and quoted, ready for SQL
	Key        []Column        `json:"key"`         // what the batches walk along
	Arguments  json.RawMessage `json:"arguments"`   // an object, validated, with the manifest's defaults
	DeadlineMS int64           `json:"deadline_ms"` // how long the answer may take, from now
}

// Range is a range of keys, in several forms: Where and Args fit every key.
type Range struct {
	Where string   `json:"where"` // a condition on the key's columns, with $1 to $n
	Args  []string `json:"args"`  // values for $1 to $n
	First bool     `json:"first"` // After belongs to the range
	After string   `json:"after"` // lower bound; of several columns a JSON array of texts
	Start string   `json:"start"` // the first key in range; empty for keys of several columns
	End   string   `json:"end"`   // inclusive upper bound, as After
	Rows  string   `json:"rows"`  // a tid[] as text where batches are rows by address, or empty
}

// Batch asks to process a range. The child answers with [Query] and [Exec], any
// number of them, and then with [Done] or [Fail].
type Batch struct {
	Task
	Range
	Size    int `json:"size"`    // how many keys the range was cut for
	Attempt int `json:"attempt"` // 1 for the first
}

// Verify asks how many rows of a range are not as the Work leaves them. The
// child answers with [Query], and then with [Done], [Unverifiable] or [Fail].
type Verify struct {
	Task
	Range
}

// Check asks, once before a migration starts, whether it can. The child answers
// with [Query], and then with [Done] or [Fail].
type Check struct{ Task }

// ResultColumn is a column of a query's result.
type ResultColumn struct {
	Name string `json:"name"`
	OID  uint32 `json:"oid"` // of its type
}

// Rows answers a [Query]. Values are PostgreSQL's text output, or null.
type Rows struct {
	ID        int64          `json:"id"`
	Seq       int64          `json:"seq"`
	Columns   []ResultColumn `json:"columns"`
	Rows      [][]*string    `json:"rows"`
	Truncated bool           `json:"truncated"` // there are more than max_rows
}

// OK answers an [Exec].
type OK struct {
	ID       int64 `json:"id"`
	Seq      int64 `json:"seq"`
	Affected int64 `json:"affected"` // rows
}

// Error answers a [Query] or an [Exec] that failed. The transaction is lost
// then: all that is left is to answer with [Fail].
type Error struct {
	ID      int64   `json:"id"`
	Seq     int64   `json:"seq"`
	Code    string  `json:"code"` // SQLSTATE
	Message string  `json:"message"`
	Detail  *string `json:"detail"`
	Hint    *string `json:"hint"`
}

// Cancel says that nobody waits for the task any more. The child answers with
// [Fail] soon, or it is killed.
type Cancel struct {
	ID int64 `json:"id"`
}

// Shutdown asks the child to end. The end of its standard input means the same.
type Shutdown struct{}

// Hello is the first line that a child writes.
type Hello struct {
	Protocol int      `json:"protocol"`
	Name     string   `json:"name"`    // as in the manifest
	Version  string   `json:"version"` // as in the manifest
	Works    []string `json:"works"`   // the names of the manifest's Works, all of them
}

// Statement is one SQL statement and the values for its $1 to $n.
type Statement struct {
	SQL  string    `json:"sql"`
	Args []*string `json:"args"` // PostgreSQL's text input, or null
}

// Query runs a statement in the batch's transaction, for its rows.
type Query struct {
	ID  int64 `json:"id"`
	Seq int64 `json:"seq"` // chosen by the child, repeated in the answer
	Statement
	MaxRows int `json:"max_rows"` // 0: as many as fit in a line
}

// Exec runs a statement in the batch's transaction, for its effect.
type Exec struct {
	ID  int64 `json:"id"`
	Seq int64 `json:"seq"`
	Statement
}

// Done ends a task well. Statements are run before the batch is committed, in
// their order, which saves the child a round trip for each.
type Done struct {
	ID         int64       `json:"id"`
	Affected   *int64      `json:"affected"`   // rows; null: those of Statements
	Statements []Statement `json:"statements"` // of a batch only
	Wrong      int64       `json:"wrong"`      // rows that a verification found
}

// Fail ends a task badly: what the batch wrote is rolled back.
type Fail struct {
	ID        int64  `json:"id"`
	Retryable bool   `json:"retryable"` // nobody's fault, such as a service that is busy
	Message   string `json:"message"`
}

// Unverifiable says that these arguments leave nothing to verify.
type Unverifiable struct {
	ID      int64  `json:"id"`
	Message string `json:"message"`
}

// Log is a line for bbmd's log. A child may write it at any time.
type Log struct {
	Level   string `json:"level"` // debug, info, warn or error
	Message string `json:"message"`
}

// HostType returns the type of a message, as its line has it.
func HostType(m Host) string { return m.fromHost() }

// ChildType returns the type of a message, as its line has it.
func ChildType(m Child) string { return m.fromChild() }

func (Init) fromHost() string     { return "init" }
func (Batch) fromHost() string    { return "batch" }
func (Verify) fromHost() string   { return "verify" }
func (Check) fromHost() string    { return "check" }
func (Rows) fromHost() string     { return "rows" }
func (OK) fromHost() string       { return "ok" }
func (Error) fromHost() string    { return "error" }
func (Cancel) fromHost() string   { return "cancel" }
func (Shutdown) fromHost() string { return "shutdown" }

func (Hello) fromChild() string        { return "hello" }
func (Query) fromChild() string        { return "query" }
func (Exec) fromChild() string         { return "exec" }
func (Done) fromChild() string         { return "done" }
func (Fail) fromChild() string         { return "fail" }
func (Unverifiable) fromChild() string { return "unverifiable" }
func (Log) fromChild() string          { return "log" }
