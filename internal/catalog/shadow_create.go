package catalog

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// origin is what a shadow takes from the database that it is for.
type origin struct {
	shadow     string // the shadow's name; empty: there is none yet
	extensions []extension
}

type extension struct{ name, schema string }

// createShadow makes the database. The origin that it returns has the shadow's name as soon as the database may be there.
func createShadow(ctx context.Context, conn *pgx.Conn, options ShadowOptions) (o origin, err error) {
	if options.Extensions {
		if o.extensions, err = readExtensions(ctx, conn); err != nil {
			return o, err
		}
	}
	like := ""
	if options.Template == "" {
		if like, err = locale(ctx, conn); err != nil {
			return o, err
		}
	}
	name, err := shadowName(ctx, conn)
	if err != nil {
		return o, err
	}
	o.shadow = name
	sql := "CREATE DATABASE " + name + " TEMPLATE " + pgx.Identifier{cmp.Or(options.Template, "template0")}.Sanitize() + like
	if err := create(ctx, conn, sql); err != nil {
		return o, err
	}
	return o, copySettings(ctx, conn, name)
}

// create is not interrupted: a database that is finished after its creator has
// gone would be nobody's.
func create(ctx context.Context, conn *pgx.Conn, sql string) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanup)
	defer cancel()
	_, err := conn.Exec(ctx, sql)
	return err
}

// shadowName returns a name that says when it was made, by the server's clock.
func shadowName(ctx context.Context, conn *pgx.Conn) (string, error) {
	var second int64
	if err := conn.QueryRow(ctx, "SELECT extract(epoch FROM now())::bigint").Scan(&second); err != nil {
		return "", fmt.Errorf("ask for the time: %w", err)
	}
	random := make([]byte, 4)
	_, _ = rand.Read(random) // never returns an error
	return fmt.Sprintf("bbmd_shadow_%010d_%s", second, hex.EncodeToString(random)), nil
}

// The columns about the locale's provider came with version 15, and have been renamed since.
const localeSQL = `
SELECT pg_catalog.pg_encoding_to_char(d.encoding)::text, d.datcollate::text, d.datctype::text, coalesce(j.value ->> 'datlocprovider', 'c'),
  coalesce(j.value ->> 'datlocale', j.value ->> 'daticulocale', ''), coalesce(j.value ->> 'daticurules', '')
FROM pg_catalog.pg_database d CROSS JOIN LATERAL to_jsonb(d) j (value) WHERE d.datname = current_database()`

// locale returns the options of CREATE DATABASE for one like the connection's.
func locale(ctx context.Context, conn *pgx.Conn) (string, error) {
	var encoding, collate, ctype, provider, name, rules string
	if err := conn.QueryRow(ctx, localeSQL).Scan(&encoding, &collate, &ctype, &provider, &name, &rules); err != nil {
		return "", fmt.Errorf("look up the locale of the database: %w", err)
	}
	sql := " ENCODING " + sqlQuote(encoding) + " LC_COLLATE " + sqlQuote(collate) + " LC_CTYPE " + sqlQuote(ctype)
	switch provider {
	case "i":
		sql += " LOCALE_PROVIDER icu ICU_LOCALE " + sqlQuote(name)
		if rules != "" {
			sql += " ICU_RULES " + sqlQuote(rules)
		}
	case "b":
		sql += " LOCALE_PROVIDER builtin BUILTIN_LOCALE " + sqlQuote(name)
	}
	return sql, nil
}

// settingsOfSQL has what a session of this role is given in this database; what
// is the role's own wins, as in a session.
const settingsOfSQL = `
SELECT entry FROM pg_catalog.pg_db_role_setting s CROSS JOIN LATERAL unnest(s.setconfig) entry
WHERE s.setdatabase = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
  AND s.setrole IN (0, (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = current_user))
  AND entry !~ '^(role|session_authorization)=' ORDER BY s.setrole`

const insufficientPrivilege = "42501"

// copySettings gives the shadow the settings of the database: a search_path
// decides where unqualified names go. What only a superuser may set stays away.
func copySettings(ctx context.Context, conn *pgx.Conn, shadow string) error {
	rows, err := conn.Query(ctx, settingsOfSQL)
	if err != nil {
		return fmt.Errorf("look up the settings of the database: %w", err)
	}
	entries, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("look up the settings of the database: %w", err)
	}
	for _, entry := range entries {
		name, value, _ := strings.Cut(entry, "=")
		err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			// A list is quoted already as it has to be, so it is set as it is, and copied.
			if _, err := tx.Exec(ctx, "SELECT pg_catalog.set_config($1, $2, true)", name, value); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, "ALTER DATABASE "+shadow+" SET "+settingName(name)+" FROM CURRENT")
			return err
		})
		var refused *pgconn.PgError
		if errors.As(err, &refused) && refused.Code == insufficientPrivilege {
			continue
		}
		if err != nil {
			return fmt.Errorf("copy the setting %s of the database: %w", name, err)
		}
	}
	return nil
}

// settingName quotes the name of a setting, which may have several parts.
func settingName(name string) string {
	return pgx.Identifier(strings.Split(name, ".")).Sanitize()
}

// Extensions that need others come after them: they were made later.
const extensionsOfSQL = `
SELECT e.extname::text, CASE WHEN n.nspname ~ '^pg_' OR EXISTS (SELECT FROM pg_catalog.pg_depend d
    WHERE d.classid = 'pg_catalog.pg_namespace'::regclass AND d.objid = n.oid AND d.deptype = 'e') THEN '' ELSE n.nspname::text END
FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace ORDER BY e.oid`

func readExtensions(ctx context.Context, conn *pgx.Conn) ([]extension, error) {
	rows, err := conn.Query(ctx, extensionsOfSQL)
	if err != nil {
		return nil, fmt.Errorf("list the extensions of the database: %w", err)
	}
	extensions, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (extension, error) {
		var e extension
		err := row.Scan(&e.name, &e.schema)
		return e, err
	})
	if err != nil {
		return nil, fmt.Errorf("list the extensions of the database: %w", err)
	}
	return extensions, nil
}

// createExtensions makes what it can and returns why it could not make the rest.
func (o origin) createExtensions(ctx context.Context, conn *pgx.Conn) []error {
	var refused []error
	for _, e := range o.extensions {
		sql := "CREATE EXTENSION IF NOT EXISTS " + pgx.Identifier{e.name}.Sanitize()
		if e.schema != "" {
			schema := pgx.Identifier{e.schema}.Sanitize()
			sql = "CREATE SCHEMA IF NOT EXISTS " + schema + "; " + sql + " SCHEMA " + schema
		}
		if _, err := conn.Exec(ctx, sql); err != nil {
			refused = append(refused, fmt.Errorf("%s: %w", e.name, err))
		}
	}
	return refused
}
