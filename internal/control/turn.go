package control

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

const turnSQL = `
SELECT id, before FROM (
  SELECT id, row_number() OVER (ORDER BY status = 'running' DESC, priority, id) - 1 AS before
  FROM bbm.batched_background_migrations WHERE status IN ('active', 'running')) queue
WHERE id = ANY ($1)`

// explainTurns gives a reason to those that are active and have none: executors look no further into a
// long queue than they have workers, and write nothing on the migrations behind. One that is
// first, or was enqueued a moment ago, is left without.
func (s Store) explainTurns(ctx context.Context, db DB, all []Progress) error {
	silent := map[int32]*Progress{}
	ids := []int32{}
	for i := range all {
		if p := &all[i]; p.Status == StatusActive && p.Reason == nil {
			silent[p.ID], ids = p, append(ids, p.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	rows, err := db.Query(ctx, s.sql(turnSQL), ids)
	if err != nil {
		return fmt.Errorf("read the queue: %w", err)
	}
	var id int32
	var before int64
	_, err = pgx.ForEachRow(rows, []any{&id, &before}, func() error {
		if before > 0 {
			silent[id].Reason = turn(before)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the queue: %w", err)
	}
	return nil
}

func turn(before int64) *string {
	text := ReasonTurn + ": 1 other is before it"
	if before != 1 {
		text = fmt.Sprintf(ReasonTurn+": %d others are before it", before)
	}
	return &text
}
