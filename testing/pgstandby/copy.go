package pgstandby

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

// copyPrimary makes dir into one that pgserver.Start takes for its own.
func copyPrimary(ctx context.Context, primary *pgtest.Server, dir string) error {
	address, err := url.Parse(primary.URL("postgres"))
	if err != nil {
		return fmt.Errorf("read the primary's address: %w", err)
	}
	password, _ := address.User.Password()
	from, to := filepath.Join(filepath.Dir(primary.LogPath()), "data"), filepath.Join(dir, "data")
	if err := backUp(ctx, primary, from, to); err != nil {
		return err
	}
	settings, secret := filepath.Join(to, "postgresql.auto.conf"), filepath.Join(dir, "password")
	lines, err := os.ReadFile(settings)
	if err != nil {
		return fmt.Errorf("read settings: %w", err)
	}
	lines = fmt.Appendf(lines, "primary_conninfo = '%s'\n", strings.ReplaceAll(address.String(), "'", "''"))
	for file, content := range map[string][]byte{settings: lines, secret: []byte(password + "\n"), filepath.Join(to, "standby.signal"): nil} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			return fmt.Errorf("write the standby's files: %w", err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // the server's user goes through it to the data, which is closed
		return fmt.Errorf("open the directory: %w", err)
	}
	return handOver(from, to, secret)
}

// backUp copies a server's data while it runs. It does so itself, since pg_basebackup is not part of every installation.
func backUp(ctx context.Context, primary *pgtest.Server, from, to string) error {
	conn, err := pgx.Connect(ctx, primary.URL("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx) //nolint:errcheck // the backup has ended, or is of no use
	begin, end := "SELECT pg_backup_start('standby', true)", "SELECT labelfile FROM pg_backup_stop(false)"
	const renamed = 15
	if primary.Binaries().Major < renamed {
		begin, end = "SELECT pg_start_backup('standby', true, false)", "SELECT labelfile FROM pg_stop_backup(false, false)"
	}
	for _, sql := range []string{
		// It keeps the WAL that the copy needs until that is copied as well, and ends with the session.
		"SELECT pg_create_physical_replication_slot('pgstandby_' || pg_backend_pid(), true, true)",
		begin,
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("begin backup: %w", err)
		}
	}
	if err := copyTree(from, to, leftOut); err != nil {
		return err
	}
	var label string
	if err := conn.QueryRow(ctx, end).Scan(&label); err != nil {
		return fmt.Errorf("end backup: %w", err)
	}
	if err := os.WriteFile(filepath.Join(to, "backup_label"), []byte(label), 0o600); err != nil {
		return fmt.Errorf("write label: %w", err)
	}
	return copyTree(filepath.Join(from, "pg_wal"), filepath.Join(to, "pg_wal"), nothing)
}

// leftOut says of a path inside of the data directory whether it is the running server's own.
func leftOut(path string) bool {
	first, _, inside := strings.Cut(path, string(filepath.Separator))
	if inside && slices.Contains([]string{"pg_dynshmem", "pg_notify", "pg_replslot", "pg_serial", "pg_snapshots", "pg_stat_tmp", "pg_subtrans", "pg_wal"}, first) {
		return true
	}
	name := filepath.Base(path)
	return strings.HasPrefix(name, "pgsql_tmp") || strings.HasPrefix(name, "pg_internal.init") || slices.Contains([]string{"postmaster.pid", "postmaster.opts"}, name)
}

func nothing(string) bool { return false }

// copyTree copies files and directories. What goes away meanwhile is not missed: the server does not need it either, or has
// its end in the WAL.
func copyTree(from, to string, skip func(path string) bool) error {
	err := filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return vanished(err)
		}
		inside, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, inside)
		switch {
		case skip(inside) && entry.IsDir():
			return fs.SkipDir
		case skip(inside):
			return nil
		case entry.IsDir():
			return os.MkdirAll(target, 0o700)
		case !entry.Type().IsRegular():
			return fmt.Errorf("%s is neither a file nor a directory: a primary of this package has no tablespaces", path)
		default:
			return copyFile(path, target)
		}
	})
	if err != nil {
		return fmt.Errorf("copy data: %w", err)
	}
	return nil
}

func copyFile(from, to string) (err error) {
	source, err := os.Open(from)
	if err != nil {
		return vanished(err)
	}
	defer source.Close() //nolint:errcheck // only read
	target, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	_, err = io.Copy(target, source)
	return err
}

// vanished is no error where a file has gone.
func vanished(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
