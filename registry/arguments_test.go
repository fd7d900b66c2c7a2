package registry_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/registry"
)

type embedded struct {
	Note string `json:"note"`
}

type arguments struct {
	embedded
	From   string                `json:"from"`
	To     *string               `json:"to,omitempty"`
	Limit  int64                 `json:"limit"`
	Nested struct{ Deep []bool } `json:"nested"`
	Plain  bool
	Hidden string `json:"-"`
	own    string
}

func (a *arguments) Validate() error {
	if a.From == "" {
		return errors.New(`argument "from" is missing`)
	}
	a.own = a.From
	return nil
}

func TestValidateArguments(t *testing.T) {
	t.Parallel()
	work := registry.Work{Name: "w", Arguments: (*arguments)(nil)}
	for _, raw := range []string{
		`{"from": "a"}`,
		` {"from": "a", "to": null, "limit": 1, "nested": {"Deep": [true]}, "Plain": true, "note": "n"} `,
	} {
		require.NoError(t, work.ValidateArguments([]byte(raw)), raw)
	}
	for raw, want := range map[string]string{
		``:                                    `arguments of w: argument "from" is missing`,
		`{}`:                                  `argument "from" is missing`,
		`null`:                                `null is not an object`,
		`[1]`:                                 `array is not an object`,
		`"a"`:                                 `string is not an object`,
		`{"from": "a"`:                        `unexpected end of JSON input`,
		`{"from": "a"} {}`:                    `invalid character '{' after top-level value`,
		`{"from": 1}`:                         `argument "from" is a number and has to be a string`,
		`{"from": "a", "to": {}}`:             `argument "to" is a object and has to be a string`,
		`{"from": "a", "limit": 1.5}`:         `argument "limit" is a number 1.5 and has to be a int64`,
		`{"from": "a", "form": "b", "x": 1}`:  `unknown argument "form", did you mean "from"?; unknown argument "x" (it takes note, from, to, limit, nested, Plain)`,
		`{"From": "a"}`:                       `unknown argument "From", did you mean "from"?`,
		`{"from": "a", "Hidden": "b"}`:        `unknown argument "Hidden"`,
		`{"from": "a", "own": "b"}`:           `unknown argument "own"`,
		`{"from": "a", "nested": {"dep": 1}}`: `unknown field "dep"`,
	} {
		require.ErrorContains(t, work.ValidateArguments([]byte(raw)), want, raw)
	}
}

func TestValidateArgumentsOfNone(t *testing.T) {
	t.Parallel()
	work := registry.Work{Name: "w"}
	for _, raw := range []string{"", "{}", " { } "} {
		require.NoError(t, work.ValidateArguments([]byte(raw)))
	}
	require.EqualError(t, work.ValidateArguments([]byte(`{"b": 1, "a": 2}`)),
		`arguments of w: unknown argument "a"; unknown argument "b" (it takes none)`)
}

func TestDecode(t *testing.T) {
	t.Parallel()
	got, err := registry.Decode[arguments]([]byte(`{"from": "a", "limit": 2}`))
	require.NoError(t, err)
	require.Equal(t, arguments{From: "a", Limit: 2, own: "a"}, got)

	_, err = registry.Decode[struct{ A int }]([]byte(`{"a": 1}`))
	require.ErrorContains(t, err, `unknown argument "a", did you mean "A"?`)
}

func FuzzDecode(f *testing.F) {
	for _, raw := range []string{`{"from": "a"}`, `null`, `[]`, `{"nested": {"Deep": [1]}}`, `{"from": "a"} x`, ``} {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if got, err := registry.Decode[arguments](raw); err == nil {
			require.NotEmpty(t, got.From)
			require.Empty(t, got.Hidden)
		}
	})
}
