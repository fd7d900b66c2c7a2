package registry

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Registry is a set of Works. It is safe for concurrent use. The zero value is
// not usable; see [New] and [Default].
type Registry struct {
	mu    sync.RWMutex
	works map[string]Work
}

// New returns an empty registry.
func New() *Registry { return &Registry{works: map[string]Work{}} }

// Register adds works, all of them or none. It refuses incomplete ones and
// names that are taken, and says everything that is wrong at once.
func (r *Registry) Register(works ...Work) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := maps.Clone(r.works)
	var problems []error
	for _, work := range works {
		if work.Version == 0 {
			work.Version = 1
		}
		if err := work.validate(); err != nil {
			problems = append(problems, fmt.Errorf("register work %q: %w", work.Name, err))
		}
		if _, taken := all[work.Name]; taken {
			problems = append(problems, fmt.Errorf("register work %q: name is taken: a name stands for one Work, choose another", work.Name))
		}
		all[work.Name] = work
	}
	if len(problems) > 0 {
		return errors.Join(problems...)
	}
	r.works = all
	return nil
}

// Lookup returns the Work of that name, or an error that wraps [ErrUnknownWork]
// and lists the names that are close.
func (r *Registry) Lookup(name string) (Work, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if work, ok := r.works[name]; ok {
		return work, nil
	}
	return Work{}, fmt.Errorf("%w %q%s: the migration waits until a bbmd that has it runs",
		ErrUnknownWork, name, Suggestion(name, slices.Collect(maps.Keys(r.works))))
}

// Works returns all Works, sorted by name.
func (r *Registry) Works() []Work {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.SortedFunc(maps.Values(r.works), func(a, b Work) int {
		return strings.Compare(a.Name, b.Name)
	})
}

// namePattern keeps names usable in SQL, in metrics and on a command line as they are.
var namePattern = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)

// validate says everything that keeps the Work from being registered.
func (w Work) validate() error {
	var problems []string
	if !namePattern.MatchString(w.Name) {
		problems = append(problems, "name is not 1 to 63 lower case letters, digits and underscores, a letter first")
	}
	if w.Version < 0 {
		problems = append(problems, fmt.Sprintf("version %d is negative: start at 1", w.Version))
	}
	if (w.Run == nil) == (w.SQL == nil) {
		problems = append(problems, "exactly one of Run and SQL has to be set")
	}
	if t := reflect.TypeOf(w.Arguments); t != nil && (t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct) {
		problems = append(problems, fmt.Sprintf("arguments are a %s: set a pointer to a struct, or nil for none", t))
	}
	if len(problems) > 0 {
		return errors.New(strings.Join(problems, "; "))
	}
	return nil
}

// defaultRegistry is filled by init functions, before main starts.
var defaultRegistry = New() //nolint:gochecknoglobals // Works register themselves as database/sql drivers do

// Default returns the registry that [Register] fills.
func Default() *Registry { return defaultRegistry }

// Register adds works to the default registry. It panics on what
// [Registry.Register] refuses, since it is called from init functions.
func Register(works ...Work) {
	if err := defaultRegistry.Register(works...); err != nil {
		panic("registry: " + err.Error())
	}
}
