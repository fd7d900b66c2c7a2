package main

import "context"

// commitsSQL returns the standbys that commits are to wait for, and how many there are.
// Who may not see that of other roles' sessions counts all standbys.
const commitsSQL = `
SELECT current_setting('synchronous_standby_names'), current_setting('synchronous_commit'),
  (SELECT count(*) FROM pg_catalog.pg_stat_replication WHERE coalesce(sync_state, 'sync') IN ('sync', 'quorum'))`

// checkCommits finds out whether commits return: those that claim batches and change a status
// are synchronous, whatever the batches are.
func checkCommits(ctx context.Context, p *patient) (string, error) {
	var names, mode string
	var standbys int
	if err := p.conn.QueryRow(ctx, commitsSQL).Scan(&names, &mode, &standbys); err != nil {
		return "", err
	}
	switch {
	case names == "" || mode == "off" || mode == "local":
		return "they wait for no standby", nil
	case standbys == 0:
		return "", fail("synchronous_standby_names is set ("+names+") and no such standby is connected", "every commit waits for one, for ever",
			"start the standby, or empty synchronous_standby_names and reload")
	default:
		return "they wait for standbys: " + names, nil
	}
}
