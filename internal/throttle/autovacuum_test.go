package throttle_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/bbmd-dev/bbmd/internal/throttle"
	"github.com/bbmd-dev/bbmd/testing/pgtest"
)

func TestAutovacuumOfTheTable(t *testing.T) {
	t.Parallel()
	for _, privileged := range []bool{true, false} {
		t.Run(map[bool]string{true: "as superuser", false: "without privileges"}[privileged], func(t *testing.T) {
			t.Parallel()
			db := pgtest.NewEmpty(t)
			db.Exec(t, `CREATE TABLE parted (n int) PARTITION BY LIST (n);
				CREATE TABLE child PARTITION OF parted DEFAULT WITH (autovacuum_enabled = off);
				CREATE TABLE other (n int);
				INSERT INTO child SELECT generate_series(1, 100000);
				INSERT INTO other VALUES (1)`)
			address := db.URL
			if !privileged {
				address, _ = asRole(t, db)
			}
			sampler := onServer(t, address, only("autovacuum"))
			parted := begin(t, sampler, throttle.Scope{Migration: "parted", Table: pgtest.One[uint32](t, db, "SELECT 'parted'::regclass::oid")})
			other := begin(t, sampler, throttle.Scope{Migration: "other", Table: pgtest.One[uint32](t, db, "SELECT 'other'::regclass::oid")})
			until(t, parted, throttle.Go, "")
			until(t, other, throttle.Go, "")

			vacuum := session(t, db.URL)
			_, err := vacuum.Exec(t.Context(), "SET vacuum_cost_delay = 100; SET vacuum_cost_limit = 1")
			require.NoError(t, err)
			pid := vacuum.PgConn().PID()
			ended := make(chan error, 1)
			go func() {
				_, err := vacuum.Exec(t.Context(), "VACUUM child")
				ended <- err
			}()
			until(t, parted, throttle.Stop, "a vacuum is at work on the table")
			require.Equal(t, throttle.Go, other.Verdict().Action)
			db.Superuser(t).Exec(t, "SELECT pg_cancel_backend($1)", pid)
			require.Error(t, <-ended)
			until(t, parted, throttle.Go, "")
		})
	}
}

func TestAutovacuumMaySlowDown(t *testing.T) {
	t.Parallel()
	c := only("autovacuum")
	c.Autovacuum.Duty = 0.4
	inWorld(t, c, func(w *world) {
		t := w.T
		a := w.begin(throttle.Scope{Migration: "m", Table: 7})
		w.answer("autovacuum", `[{"table": 7, "pid": 99}]`)
		require.Equal(t, throttle.Slow, a.Verdict().Action)
		require.InDelta(t, 0.4, a.Verdict().Duty, 1e-9)
		require.Equal(t, "a vacuum is at work on the table (pid 99): work 40 % of the time", a.Verdict().Reason)
	})
}
