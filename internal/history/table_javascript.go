package history

import (
	"context"
	"fmt"
	"strings"
)

func prismaSignature() signature {
	return signature{
		tool:  Prisma,
		table: "_prisma_migrations",
		columns: map[string]kind{
			"id": text, "checksum": text, "migration_name": text,
			"started_at": moment, "finished_at": moment, "rolled_back_at": moment,
		},
		read: listWithFailed("migration_name",
			"WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL ORDER BY started_at, migration_name",
			"WHERE finished_at IS NULL AND rolled_back_at IS NULL ORDER BY started_at, migration_name",
			"prisma migrate resolve --applied NAME, for every migration",
			func(_ *found, failed []string) (dirty, remedy string) {
				return strings.Join(failed, ", ") + " began and did not finish",
					fmt.Sprintf("prisma migrate resolve --rolled-back %s (or --applied, if it did finish)", failed[0])
			}),
	}
}

const knexLock = "knex_migrations_lock"

func knexSignature() signature {
	return signature{
		tool:       Knex,
		table:      "knex_migrations",
		columns:    map[string]kind{"id": integer, "name": text, "batch": integer, "migration_time": moment},
		companions: []string{knexLock},
		read:       readKnex,
	}
}

func readKnex(ctx context.Context, db DB, t *found) (state, error) {
	read := list("name", "ORDER BY id", "INSERT INTO knex_migrations (name, batch, migration_time) VALUES ('FILE', 1, now()), for every file")
	st, err := read(ctx, db, t)
	if err != nil {
		return state{}, err
	}
	lock := t.sibling(knexLock, "is_locked")
	if lock == nil {
		return st, nil
	}
	if err := lock.visible(); err != nil {
		return state{}, fmt.Errorf("read %s: %w", lock, err)
	}
	held, err := column(ctx, db, "SELECT is_locked::text FROM "+lock.sql()+" WHERE is_locked = 1")
	if len(held) > 0 {
		st.dirty = lock.String() + " says that migrations are running: Knex is at work, or was killed"
		st.remedy = "if no Knex runs: knex migrate:unlock"
	}
	return st, err
}

// sequelizeSignature is in mixed case: sequelizemeta is not Sequelize's.
func sequelizeSignature() signature {
	return signature{
		tool:    Sequelize,
		table:   "SequelizeMeta",
		columns: map[string]kind{"name": text},
		read:    list("name", "ORDER BY name", `INSERT INTO "SequelizeMeta" (name) VALUES ('FILE'), for every file`),
	}
}

func nodePgMigrateSignature() signature {
	return signature{
		tool:    NodePgMigrate,
		table:   "pgmigrations",
		columns: map[string]kind{"id": integer, "name": text, "run_on": moment},
		read:    list("name", "ORDER BY run_on, id", "node-pg-migrate up --fake"),
	}
}

// drizzleSignature identifies a migration by the time in Drizzle's journal.
func drizzleSignature() signature {
	return signature{
		tool:    Drizzle,
		table:   "__drizzle_migrations",
		columns: map[string]kind{"id": integer, "hash": text, "created_at": integer},
		read: list("created_at", "ORDER BY created_at",
			"INSERT INTO __drizzle_migrations (hash, created_at) VALUES ('HASH', WHEN), from meta/_journal.json, for every entry"),
	}
}

func typeORMSignature() signature {
	return signature{
		tool:    TypeORM,
		table:   "migrations",
		columns: map[string]kind{"id": integer, "timestamp": integer, "name": text},
		exact:   true,
		read:    list("name", `ORDER BY "timestamp", id`, "typeorm migration:run --fake"),
	}
}
