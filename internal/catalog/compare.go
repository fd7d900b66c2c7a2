package catalog

import (
	"cmp"
	"maps"
	"slices"
)

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
func Compare(want, have Snapshot) Difference {
	declared, actual := byIdentity(want), byIdentity(have)
	keys := maps.Clone(declared)
	maps.Copy(keys, actual)
	d := Difference{Objects: []ObjectDifference{}}
	for _, key := range slices.SortedFunc(maps.Keys(keys), identity.compare) {
		w, wanted := declared[key]
		h, had := actual[key]
		o := ObjectDifference{Kind: key.kind, Schema: key.schema, Name: key.name, PartitionOf: cmp.Or(w.Properties[partitionOf], h.Properties[partitionOf])}
		switch {
		case !had:
			o.Change = Missing
		case !wanted && (key.kind == "extension" || key.kind == "schema"):
			continue
		case !wanted:
			o.Change = Undeclared
		default:
			o.Change, o.Details = Changed, compareDefinitions(w, h)
			if len(o.Details) == 0 {
				continue
			}
		}
		d.Objects = append(d.Objects, o)
	}
	return d
}

// partitionOf is the property of a partition that names its table.
const partitionOf = "parent"

func byIdentity(s Snapshot) map[identity]Definition {
	objects := make(map[identity]Definition, len(s.Objects))
	for _, o := range s.Objects {
		objects[o.identity()] = o
	}
	return objects
}

func byKey(parts []Part) map[partKey]Part {
	found := make(map[partKey]Part, len(parts))
	for _, p := range parts {
		found[p.key()] = p
	}
	return found
}

func compareDefinitions(want, have Definition) []Detail {
	details := compareProperties(partKey{}, want.Properties, have.Properties)
	declared, actual := byKey(want.Parts), byKey(have.Parts)
	keys := maps.Clone(declared)
	maps.Copy(keys, actual)
	for _, key := range slices.SortedFunc(maps.Keys(keys), partKey.compare) {
		w, wanted := declared[key]
		h, had := actual[key]
		switch {
		case !had:
			details = append(details, Detail{Part: key.kind, PartName: key.name, Change: Missing})
		case !wanted:
			details = append(details, Detail{Part: key.kind, PartName: key.name, Change: Undeclared})
		default:
			details = append(details, compareProperties(key, w.Properties, h.Properties)...)
		}
	}
	return details
}

func compareProperties(part partKey, want, have map[string]string) []Detail {
	keys := maps.Clone(want)
	if keys == nil {
		keys = map[string]string{}
	}
	maps.Copy(keys, have)
	var details []Detail
	for _, property := range slices.Sorted(maps.Keys(keys)) {
		if want[property] != have[property] {
			details = append(details, Detail{Part: part.kind, PartName: part.name, Change: Changed, Property: property, Declared: want[property], Actual: have[property]})
		}
	}
	return details
}

// Empty reports whether there is no difference.
func (d Difference) Empty() bool { return len(d.Objects) == 0 }

// WithoutExtraPartitions returns the difference without the partitions that
// only the database has: programs make them as time goes by, and no history declares them.
func (d Difference) WithoutExtraPartitions() Difference {
	rest := Difference{Objects: []ObjectDifference{}}
	for _, o := range d.Objects {
		if o.PartitionOf == "" || o.Change != Undeclared {
			rest.Objects = append(rest.Objects, o)
		}
	}
	return rest
}
