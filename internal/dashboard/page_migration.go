package dashboard

import (
	"context"
	"net/http"
	"strconv"

	"github.com/bbmd-dev/bbmd/internal/control"
)

// migrationPage is what the page of a migration shows.
type migrationPage struct {
	migrationDetail

	Database   string
	Charts     []chart
	Audit      []control.AuditEntry
	Quarantine []control.QuarantinedRow
	Finalize   bool // it can be run without throttle here
	CanPause   bool
	CanResume  bool
	CanRetry   bool
	CanCancel  bool
	CanChange  bool
}

const (
	auditShown      = 10
	quarantineShown = 10
)

// allow says what may be done to a migration in its status.
func (p *migrationPage) allow(finalize bool) {
	moves := p.Status == control.StatusActive || p.Status == control.StatusRunning
	p.CanPause, p.CanResume, p.CanRetry = moves, p.Status == control.StatusPaused, p.Status == control.StatusFailed
	p.CanCancel = !p.Over() || p.CanRetry
	p.CanChange = p.CanCancel
	p.Finalize = finalize && moves
}

func (s *Server) getMigrationPage(w http.ResponseWriter, r *http.Request) error {
	var d *database
	body, err := fetch(s, r, func(ctx context.Context, at *database, db control.TxDB) (p migrationPage, err error) {
		d = at
		p.Database = d.Name
		if p.migrationDetail, err = d.detail(ctx, db, r.PathValue("migration")); err != nil {
			return p, err
		}
		samples, err := d.Store.BatchSamples(ctx, db, p.ID, samplesShown)
		if err != nil {
			return p, err
		}
		p.Charts = chartsOf(samples, p.Settings.TargetMillis)
		if p.Quarantined > 0 {
			if p.Quarantine, err = d.Store.QuarantinePage(ctx, db, p.ID, 0, quarantineShown); err != nil {
				return p, err
			}
		}
		p.Audit, _, err = d.Store.Audit(ctx, db, p.ID, control.AuditCursor{}, auditShown)
		return p, err
	})
	if err != nil {
		return err
	}
	body.allow(d.Finalize != nil)
	return s.show(w, r, http.StatusOK, "migration", view{Title: body.Name, Crumbs: d.crumbs(), Live: true, Body: body})
}

// runPage is what the page of a run shows.
type runPage struct {
	control.Run

	Database string
}

func (s *Server) getRunPage(w http.ResponseWriter, r *http.Request) error {
	id, err := strconv.ParseInt(r.PathValue("run"), 10, 64)
	if err != nil {
		return control.ErrNoRun
	}
	var d *database
	found, err := fetch(s, r, func(ctx context.Context, at *database, db control.TxDB) (*control.Run, error) {
		d = at
		return d.Store.Run(ctx, db, id)
	})
	if err != nil {
		return err
	}
	crumbs := d.crumbs(crumb{"Runs", d.link() + "/runs"})
	return s.show(w, r, http.StatusOK, "run", view{Title: "Run " + strconv.FormatInt(id, 10), Crumbs: crumbs, Live: true, Body: runPage{*found, d.Name}})
}
