package catalog

// Change says what kind of a difference it is.
type Change string

// The changes.
const (
	Missing    Change = "missing"    // declared, but not in the database
	Undeclared Change = "undeclared" // in the database, but not declared
	Changed    Change = "changed"    // in both, and not the same
)

// Difference is how a database differs from what is declared. The zero value
// is no difference.
type Difference struct {
	// Objects that differ, in the order of [Snapshot.Objects].
	Objects []ObjectDifference `json:"objects"`
}

// ObjectDifference is one object that differs.
type ObjectDifference struct {
	Kind   string `json:"kind"`
	Schema string `json:"schema,omitempty"`
	Name   string `json:"name"`
	Change Change `json:"change"`
	// PartitionOf is, for a partition, the table that it belongs to, quoted for SQL.
	PartitionOf string `json:"partition_of,omitempty"`
	// Details say what has changed; none for an object that is missing or undeclared.
	Details []Detail `json:"details,omitempty"`
}

// Detail is one property of an object, or of a part of it, that differs, or a
// part that is missing or undeclared.
type Detail struct {
	// Part is the part's kind, empty for the object itself; PartName its name.
	Part     string `json:"part,omitempty"`
	PartName string `json:"part_name,omitempty"`
	Change   Change `json:"change"`
	// Property that differs, when Change is Changed.
	Property string `json:"property,omitempty"`
	// Declared and Actual are the property's values. Empty: it has none.
	Declared string `json:"declared,omitempty"`
	Actual   string `json:"actual,omitempty"`
}

// Compare returns how have, a database, differs from want, what is declared.
// Extensions and empty schemas that only the database has do not count: they
// are its operator's.
func Compare(want, have Snapshot) Difference { return Difference{} }

// Empty reports whether there is no difference.
func (d Difference) Empty() bool { return len(d.Objects) == 0 }

// WithoutExtraPartitions returns the difference without the partitions that
// only the database has: programs make them as time goes by, and no history declares them.
func (d Difference) WithoutExtraPartitions() Difference { return d }

// String returns the differences one per line, those in long texts followed by
// their changed lines, indented; empty when there is none.
func (d Difference) String() string { return "" }

// String returns the differences of one object, as [Difference.String] does.
func (o ObjectDifference) String() string { return "" }
