package catalog

// What tests look at from inside.
var (
	ExplainDrop = explainDrop
)
