package executor_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/executor"
)

func TestErrorsAreClassified(t *testing.T) {
	t.Parallel()
	state := func(code string) error { return fmt.Errorf("query: %w", &pgconn.PgError{Code: code}) }
	for _, c := range []struct {
		err             error
		transient, lost bool
	}{
		{state("40001"), true, false},            // serialization_failure
		{state("40P01"), true, false},            // deadlock_detected
		{state("55P03"), true, false},            // lock_not_available
		{state("53100"), true, false},            // disk_full
		{state("53200"), true, false},            // out_of_memory
		{state("53300"), true, false},            // too_many_connections
		{state("57P01"), true, true},             // admin_shutdown
		{state("57P02"), true, true},             // crash_shutdown
		{state("57P03"), true, true},             // cannot_connect_now
		{state("57P05"), true, true},             // idle_session_timeout
		{state("25P03"), true, true},             // idle_in_transaction_session_timeout
		{state("25006"), true, true},             // read_only_sql_transaction: the server was demoted
		{state("26000"), true, true},             // invalid_sql_statement_name: somebody took our statements away
		{state("08006"), true, true},             // connection_failure
		{state("08P01"), true, true},             // protocol_violation
		{state("57014"), false, false},           // query_canceled: the statement takes too long
		{state("22012"), false, false},           // division_by_zero
		{state("23505"), false, false},           // unique_violation
		{state("42P01"), false, false},           // undefined_table
		{state("42501"), false, false},           // insufficient_privilege
		{state("0A000"), false, false},           // feature_not_supported
		{state("2D000"), false, false},           // invalid_transaction_termination
		{state("XX000"), false, false},           // internal_error
		{errors.New("any"), false, false},        // of the Work itself
		{io.ErrUnexpectedEOF, false, false},      // of something that the Work reads
		{context.DeadlineExceeded, false, false}, // a bound of the Work's own
		{executor.ErrConnection, true, true},
		{fmt.Errorf("connect: %w", &pgconn.ConnectError{}), true, true},
	} {
		require.Equal(t, c.transient, executor.Transient(c.err), "transient: %v", c.err)
		require.Equal(t, c.lost, executor.ConnectionLost(c.err), "connection lost: %v", c.err)
	}
}

func TestDelaysDoubleUpToABound(t *testing.T) {
	t.Parallel()
	seconds := []float64{0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10}
	for range 100 {
		for i, s := range seconds {
			require.InDelta(t, s, executor.Delay(i+1).Seconds(), s/4+1e-9)
		}
	}
	require.InDelta(t, 10, executor.Delay(1_000_000).Seconds(), 2.5)
}
