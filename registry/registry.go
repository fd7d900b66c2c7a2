package registry

import "errors"

// ErrUnknownWork is returned by [Registry.Lookup]. The migration waits: another
// replica, or a later release, may have the Work.
var ErrUnknownWork = errors.New("unknown work")

// Registry is a set of Works. The zero value is not usable; see [New] and [Default].
type Registry struct {
	// mutex, map
}

// New returns an empty registry.
func New() *Registry { return &Registry{} }

// Register adds works. It refuses incomplete ones and names that are taken.
func (r *Registry) Register(works ...Work) error { panic("todo") }

// Lookup returns the Work of that name, or an error that wraps [ErrUnknownWork]
// and lists the names that are close.
func (r *Registry) Lookup(name string) (Work, error) { panic("todo") }

// Works returns all Works, sorted by name.
func (r *Registry) Works() []Work { panic("todo") }

// ValidateArguments decodes raw strictly into a new value of w.Arguments' type and validates it.
func (w Work) ValidateArguments(raw []byte) error { panic("todo") }

// Default returns the registry that [Register] fills.
func Default() *Registry { panic("todo") }

// Register adds works to the default registry. It panics on what
// [Registry.Register] refuses, since it is called from init functions.
func Register(works ...Work) { panic("todo") }
