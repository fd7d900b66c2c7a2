package control

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"
)

// InstallUpTo installs the control schema as the program of that version has left it.
func InstallUpTo(ctx context.Context, conn *pgx.Conn, version int) error {
	all, err := steps()
	if err != nil {
		return err
	}
	texts := []string{createVersions}
	for _, s := range all[:version] {
		texts = append(texts, s.sql)
	}
	if _, err := conn.Exec(ctx, Store{}.sql(strings.Join(texts, ";\n"))); err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "INSERT INTO bbm.versions (version, oldest_compatible) VALUES ($1, 1)", version)
	return err
}

// Secure is what ends every installation and upgrade.
func Secure(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, Store{}.sql(secureSQL))
	return err
}

// ProgressSQL reads the progress of migrations.
const ProgressSQL = progressSQL

// SamplesSQL and PageOfJobs read pages of what has finished.
const (
	SamplesSQL = samplesSQL
	PageOfJobs = pageOfJobs
)

// Supported judges a server's version.
var Supported = supported
