package pgtest

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/control"
)

// controlTemplate has bbmd's control schema.
func controlTemplate() Template {
	return Template{
		Hash: control.Hash(),
		Install: func(ctx context.Context, conn *pgx.Conn) error {
			if err := control.Install(ctx, conn, control.DefaultSchema); err != nil {
				return err
			}
			store := control.NewStore(control.DefaultSchema)
			return errors.Join(
				store.Grant(ctx, conn, control.Role{Name: Worker, Kind: control.KindWorker}),
				store.Grant(ctx, conn, control.Role{Name: Enqueuer, Kind: control.KindEnqueuer, Works: []string{EnqueuerMay}}),
				store.Grant(ctx, conn, control.Role{Name: Reader, Kind: control.KindReader}))
		},
	}
}
