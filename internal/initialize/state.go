package initialize

// State is what a database is found to be.
type State string

// The states. What is done about each is in [Plan].
const (
	// Empty has no objects of the user's, or nothing but an empty version table;
	// or there is no database at all.
	Empty State = "EMPTY"
	// Versioned has the version table of a known tool, with rows.
	Versioned State = "VERSIONED"
	// Unversioned has objects, and no version of the configured history.
	Unversioned State = "UNVERSIONED"
	// Ambiguous has version tables of several tools, or several of one; or only one of a tool that the files are not for,
	// and nobody said that the files count.
	Ambiguous State = "AMBIGUOUS"
	// Dirty has a history whose own tool would refuse to go on; or that of another tool, and nothing applied of the files.
	Dirty State = "DIRTY"
	// UnknownRevision has a version applied that the files do not have.
	UnknownRevision State = "UNKNOWN_REVISION"
	// Ahead has everything in the files applied, and later versions as well.
	Ahead State = "AHEAD"
)

// Action is what a run does.
type Action string

// The actions.
const (
	ActNothing  Action = "none"     // the database is where it should be
	ActCreate   Action = "create"   // models, in one transaction, and every head stamped
	ActMigrate  Action = "migrate"  // what is pending
	ActBaseline Action = "baseline" // the schema is there: record its version, and then what is pending
	ActRecreate Action = "recreate" // drop everything, then as EMPTY
	ActStamp    Action = "stamp"    // set the version table, on somebody's word
	ActStop     Action = "stop"     // nothing, for a reason
)
