package network

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"
)

// RefuseStandby returns refusal when a server says of itself that it is read-only, for the
// connection to go on to the next host. It costs no statement since PostgreSQL 14, which reports
// this on its own; before, a server is asked only where there is another host to go on to.
func RefuseStandby(ctx context.Context, conn *pgconn.PgConn, otherHosts bool, refusal error) error {
	switch conn.ParameterStatus("in_hot_standby") {
	case "on":
		return refusal
	case "":
		if otherHosts {
			return pgconn.ValidateConnectTargetSessionAttrsPrimary(ctx, conn)
		}
	}
	return nil
}

// HasOtherHosts reports whether a connection string names more than one server. A fallback
// may also be the same server without TLS.
func HasOtherHosts(config *pgconn.Config) bool {
	return slices.ContainsFunc(config.Fallbacks, func(f *pgconn.FallbackConfig) bool {
		return f.Host != config.Host || f.Port != config.Port
	})
}
