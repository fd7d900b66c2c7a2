package pgtest

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/control"
)

// controlTemplate has bbmd's control schema.
func controlTemplate() Template {
	return Template{
		Hash: control.Hash(),
		Install: func(ctx context.Context, conn *pgx.Conn) error {
			return control.Install(ctx, conn, control.DefaultSchema)
		},
	}
}
