package registry_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/registry"
)

func run(context.Context, pgx.Tx, registry.Batch) (registry.Result, error) {
	return registry.Result{}, nil
}

func sql(registry.Migration) (registry.Statement, error) {
	return registry.ParseStatement("SELECT 1 WHERE :range")
}

func TestRegister(t *testing.T) {
	t.Parallel()
	r := registry.New()
	require.NoError(t, r.Register(
		registry.Work{Name: "copy_column", Run: run},
		registry.Work{Name: "a1", SQL: sql, Version: 3, Arguments: &struct{}{}},
	))

	work, err := r.Lookup("copy_column")
	require.NoError(t, err)
	require.Equal(t, 1, work.Version)

	works := r.Works()
	require.Len(t, works, 2)
	require.Equal(t, "a1", works[0].Name)
	require.Equal(t, 3, works[0].Version)
}

func TestRegisterRefuses(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		work registry.Work
		want []string
	}{
		"nothing in it":       {registry.Work{}, []string{"name is not 1 to 63", "exactly one of Run and SQL"}},
		"upper case":          {registry.Work{Name: "Copy", Run: run}, []string{`register work "Copy": name is not`}},
		"digit first":         {registry.Work{Name: "1a", Run: run}, []string{"name is not"}},
		"too long":            {registry.Work{Name: strings.Repeat("a", 64), Run: run}, []string{"name is not"}},
		"line break":          {registry.Work{Name: "a\n", Run: run}, []string{"name is not"}},
		"both forms":          {registry.Work{Name: "a", Run: run, SQL: sql}, []string{"exactly one of Run and SQL"}},
		"negative version":    {registry.Work{Name: "a", Run: run, Version: -1}, []string{"version -1 is negative"}},
		"arguments by value":  {registry.Work{Name: "a", Run: run, Arguments: struct{}{}}, []string{"arguments are a struct {}: set a pointer"}},
		"arguments no struct": {registry.Work{Name: "a", Run: run, Arguments: new(int)}, []string{"arguments are a *int"}},
		"taken":               {registry.Work{Name: "taken", SQL: sql}, []string{`register work "taken": name is taken`}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := registry.New()
			require.NoError(t, r.Register(registry.Work{Name: "taken", Run: run}))
			err := r.Register(registry.Work{Name: "innocent", Run: run}, test.work)
			for _, want := range test.want {
				require.ErrorContains(t, err, want)
			}
			require.Len(t, r.Works(), 1, "all or none")
		})
	}
}

func TestRegisterSameNameAtOnce(t *testing.T) {
	t.Parallel()
	r := registry.New()
	require.ErrorContains(t, r.Register(registry.Work{Name: "a", Run: run}, registry.Work{Name: "a", SQL: sql}), "name is taken")
	require.Empty(t, r.Works())
}

func TestLookupUnknown(t *testing.T) {
	t.Parallel()
	r := registry.New()
	_, err := r.Lookup("copy")
	require.EqualError(t, err, `unknown work "copy": the migration waits until a bbmd that has it runs`)

	require.NoError(t, r.Register(registry.Work{Name: "copy_column", Run: run}, registry.Work{Name: "delete_rows", Run: run}))
	_, err = r.Lookup("Copy_Colum")
	require.ErrorIs(t, err, registry.ErrUnknownWork)
	require.EqualError(t, err, `unknown work "Copy_Colum", did you mean "copy_column"?: the migration waits until a bbmd that has it runs`)
}

func TestRegistryConcurrently(t *testing.T) {
	t.Parallel()
	const workers, each = 8, 50
	r := registry.New()
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for i := range each {
				name := fmt.Sprintf("work_%d_%d", w, i)
				if err := r.Register(registry.Work{Name: name, Run: run}); err != nil {
					t.Error(err)
				}
				if _, err := r.Lookup(name); err != nil {
					t.Error(err)
				}
				r.Works()
			}
		})
	}
	group.Wait()
	require.Len(t, r.Works(), workers*each)
}

func TestDefault(t *testing.T) {
	t.Parallel()
	name := fmt.Sprintf("default_test_%d", len(registry.Default().Works())) // also with -count
	registry.Register(registry.Work{Name: name, Run: run})
	_, err := registry.Default().Lookup(name)
	require.NoError(t, err)
	require.Panics(t, func() { registry.Register(registry.Work{Name: name, Run: run}) })
}

func TestSuggestion(t *testing.T) {
	t.Parallel()
	known := []string{"email", "e_mail", "emails", "email2", "id", "name"}
	for name, want := range map[string]string{
		"emial":   `, did you mean "email"?`,
		"EMAILX":  `, did you mean "email" or "email2" or "emails"?`,
		"anme":    `, did you mean "name"?`,
		"nam":     `, did you mean "name"?`,
		"idx":     `, did you mean "id"?`,
		"address": "",
		"":        "",
	} {
		require.Equal(t, want, registry.Suggestion(name, known), name)
	}
}
