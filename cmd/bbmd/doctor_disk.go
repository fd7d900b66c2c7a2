package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/bbmd-dev/bbmd/internal/control"
	"github.com/bbmd-dev/bbmd/internal/terminal"
)

// volume is the disk that the data directory is on.
type volume struct{ free, size int64 }

// lowShare is the share of a disk that should be free.
const lowShare = 0.1

// checkDisk compares what is free with what migrations may need: a table
// that is updated row by row can double before vacuum comes.
func checkDisk(ctx context.Context, p *patient) (string, error) {
	var database, needed int64
	if err := p.conn.QueryRow(ctx, "SELECT pg_catalog.pg_database_size(current_database())").Scan(&database); err != nil {
		return "", err
	}
	if p.installed(ctx) {
		err := p.conn.QueryRow(ctx, strings.ReplaceAll(neededSQL, "bbm.", control.NewStore(p.config.ControlSchema).Schema()+".")).Scan(&needed)
		if err != nil {
			return "", err
		}
	}
	v, err := p.dataVolume(ctx)
	if err != nil {
		return fmt.Sprintf("free space cannot be known from here (%v); the database has %s, and its open migrations may need %s more",
			err, terminal.Bytes(database), terminal.Bytes(needed)), nil
	}
	return judgeVolume(v, needed)
}

// neededSQL is the size of the tables of the migrations that are not over.
const neededSQL = `
SELECT coalesce(sum(pg_catalog.pg_total_relation_size(t)), 0)::bigint FROM (
  SELECT relid AS t FROM bbm.batched_background_migrations m, pg_catalog.pg_partition_tree(coalesce(m.table_oid, bbm.table_named(m.table_name))::regclass)
  WHERE m.status IN ('active', 'running', 'paused') AND EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = coalesce(m.table_oid, bbm.table_named(m.table_name)))
  UNION SELECT coalesce(m.table_oid, bbm.table_named(m.table_name)) FROM bbm.batched_background_migrations m
  WHERE m.status IN ('active', 'running', 'paused') AND EXISTS (SELECT FROM pg_catalog.pg_class WHERE oid = coalesce(m.table_oid, bbm.table_named(m.table_name)))) x`

func judgeVolume(v volume, needed int64) (string, error) {
	detail := fmt.Sprintf("%s of %s are free where the data is", terminal.Bytes(v.free), terminal.Bytes(v.size))
	const hint = "make room, or enqueue with min and max for a part of the table at a time and let vacuum run between"
	switch {
	case v.free < needed:
		return "", warn(detail+", and the tables of open migrations have "+terminal.Bytes(needed), "a table that is updated row by row can double, and a full disk stops the server", hint)
	case float64(v.free) < lowShare*float64(v.size):
		return "", warn(detail, "a backfill writes WAL and dead rows, and a full disk stops the server", hint)
	default:
		return detail, nil
	}
}

// The reasons why free space is not known.
var (
	errElsewhere   = errors.New("the server is on another machine")
	errNotReadable = errors.New("data_directory is not readable for this role or user")
	errAnother     = errors.New("data_directory is a directory of another server here, as with containers")
)

// dataVolume looks at the disk of a server on this machine.
func (p *patient) dataVolume(ctx context.Context) (volume, error) {
	if !local(p.conn.Config().Host) {
		return volume{}, errElsewhere
	}
	var dir string
	var started int64
	err := p.conn.QueryRow(ctx, "SELECT current_setting('data_directory'), extract(epoch FROM pg_catalog.pg_postmaster_start_time())::bigint").Scan(&dir, &started)
	if err != nil {
		return volume{}, errNotReadable
	}
	if err := sameServer(dir, started); err != nil {
		return volume{}, err
	}
	return statVolume(dir)
}

// local reports whether a host is this machine: a unix socket or the loopback.
func local(host string) bool {
	ip := net.ParseIP(host)
	return strings.HasPrefix(host, "/") || host == "localhost" || ip != nil && ip.IsLoopback()
}

// sameServer makes sure that the directory here is that of the server which answers,
// and not one of the same name: by the time at which it was started.
func sameServer(dir string, started int64) (err error) {
	file, err := os.Open(filepath.Join(dir, "postmaster.pid"))
	if err != nil {
		return errNotReadable
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	const line = 3 // of the file: its start, in seconds
	scanner := bufio.NewScanner(file)
	for range line {
		if !scanner.Scan() {
			return errAnother
		}
	}
	written, err := strconv.ParseInt(strings.TrimSpace(scanner.Text()), 10, 64)
	if err != nil || written-started > 1 || started-written > 1 {
		return errAnother
	}
	return nil
}
