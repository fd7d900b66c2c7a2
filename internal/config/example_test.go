package config_test

import (
	"fmt"

	"github.com/bbmd-dev/bbmd/internal/config"
)

// A database needs no more than a url in the environment and a directory of
// migrations; everything that is not said has a default.
func ExampleLoad() {
	cfg, err := config.Load(config.Sources{
		Search:  []string{}, // no file
		Environ: []string{"DATABASE_URL=postgres://app:secret@db/app", "BBMD_DATABASES__DEFAULT__SCHEMA__MIGRATIONS=testdata"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	db := cfg.Databases[config.DefaultDatabase]
	fmt.Println(db.URL, db.Schema.Migrations, db.Schema.History, db.Schema.Start())
	// Output: postgres://app:***@db/app testdata auto migrate
}

// Everything that is wrong is said at once, with the way out.
func ExampleLoad_wrong() {
	_, err := config.Load(config.Sources{
		Search: []string{},
		Environ: []string{
			"DATABASE_URL=postgres://db/app", "DB_FORCE_RECREATE=true", "BBMD_PROFILE=small",
			"BBMD_DATABASES__DEFAULT__SCHEMA__HISTORY=rails", "BBMD_SCHEMA_MIGRATIONS__PARALLEL=0",
		},
	})
	fmt.Println(err)
	// Output:
	// databases.default.schema.history (env BBMD_DATABASES__DEFAULT__SCHEMA__HISTORY): "rails" is none of its values; use auto, goose, alembic, command
	// profile (env BBMD_PROFILE): there is no profile "small"; there are none: add it to profiles
	// schema_migrations.parallel (env BBMD_SCHEMA_MIGRATIONS__PARALLEL): 0 is out of range; use 1 to 64
	// force_recreate (env DB_FORCE_RECREATE): it drops databases, and development_mode is off; remove it, or set development_mode where no data matters
}

// Commands are lists, and are shown without the secrets that could be in them.
func ExampleCommand() {
	command := config.NewCommand("uv", "run", "alembic")
	fmt.Println(command, len(command.Args()))
	// Output: ["uv","run","alembic"] 3
}
