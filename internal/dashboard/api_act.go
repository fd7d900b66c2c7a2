package dashboard

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/internal/control"
)

// enqueueRequest is a migration to be enqueued, with the names of its row.
type enqueueRequest struct {
	Work           string          `json:"job_signature_name"`
	Table          string          `json:"table_name"`
	Name           string          `json:"name"`
	Columns        string          `json:"column_name"`
	Arguments      json.RawMessage `json:"arguments"`
	Min            *string         `json:"min_value"`
	Max            *string         `json:"max_value"`
	BatchSize      *int32          `json:"batch_size"`
	MinBatchSize   *int32          `json:"min_batch_size"`
	MaxBatchSize   *int32          `json:"max_batch_size"`
	TargetMillis   *float64        `json:"target_duration_ms"`
	PauseMillis    float64         `json:"pause_ms"`
	Strategy       string          `json:"batching_strategy"`
	Parallelism    *int32          `json:"parallelism"`
	Priority       int32           `json:"priority"`
	DependsOn      []string        `json:"depends_on"`
	MaxAttempts    *int32          `json:"max_attempts"`
	MaxQuarantined int32           `json:"max_quarantined"`
	Paused         bool            `json:"paused"`
}

func (e enqueueRequest) request() control.Request {
	r := control.Request{
		Work: e.Work, Table: e.Table, Name: e.Name, Columns: e.Columns, Arguments: e.Arguments, Min: e.Min, Max: e.Max,
		BatchSize: e.BatchSize, MinBatchSize: e.MinBatchSize, MaxBatchSize: e.MaxBatchSize, Pause: milliseconds(e.PauseMillis),
		Strategy: e.Strategy, Parallelism: e.Parallelism, Priority: e.Priority, DependsOn: e.DependsOn,
		MaxAttempts: e.MaxAttempts, MaxQuarantined: e.MaxQuarantined, Paused: e.Paused,
	}
	if e.TargetMillis != nil {
		target := milliseconds(*e.TargetMillis)
		r.TargetDuration = &target
	}
	return r
}

func milliseconds(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }

// enqueue adds a migration and returns its name.
func (s *Server) enqueue(ctx context.Context, d *database, who caller, e enqueueRequest) (name string, err error) {
	if e.Work == "" || e.Table == "" {
		return "", badRequest("a migration needs a work and a table", "give job_signature_name and table_name")
	}
	work, ok := s.work(e.Work)
	if !ok {
		return "", badRequest("there is no work "+e.Work+" here", "GET /api/v1/works lists them; SQL can enqueue one that another bbmd has")
	}
	if work.Validate != nil {
		if err := work.Validate(e.Arguments); err != nil {
			return "", badRequest(err.Error(), "GET /api/v1/works says what it takes")
		}
	}
	err = d.act(ctx, who, func(ctx context.Context, tx pgx.Tx) (err error) {
		name, err = d.Store.Enqueue(ctx, tx, e.request())
		return err
	})
	s.done(ctx, d, who, "enqueue", name, err)
	return name, err
}

// work returns the one of that name.
func (s *Server) work(name string) (Work, bool) {
	for _, work := range s.options.Works() {
		if work.Name == name {
			return work, true
		}
	}
	return Work{}, false
}

// done logs what somebody did. What was refused is told to them alone.
func (s *Server) done(ctx context.Context, d *database, who caller, action, migration string, err error) {
	if err == nil {
		s.log.InfoContext(ctx, "done through the dashboard", "database", d.Name, "migration", migration, "action", action, "who", who.Name, "address", who.Address)
	}
}

func (s *Server) postMigration(w http.ResponseWriter, r *http.Request) error {
	d, err := s.database(r)
	if err != nil {
		return err
	}
	var e enqueueRequest
	if err := decode(r, &e); err != nil {
		return err
	}
	name, err := s.enqueue(r.Context(), d, callerOf(r), e)
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/api/v1/databases/"+url.PathEscape(d.Name)+"/migrations/"+url.PathEscape(name))
	writeJSON(r.Context(), w, http.StatusCreated, "application/json", struct {
		Name string `json:"name"`
	}{name})
	return nil
}

// change sets settings of a migration.
func (s *Server) change(ctx context.Context, d *database, who caller, name string, to json.RawMessage) (knobs control.KnobsSet, err error) {
	var given struct {
		Throttle json.RawMessage `json:"throttle"`
	}
	if json.Unmarshal(to, &given) == nil && len(given.Throttle) > 0 && string(given.Throttle) != "null" && d.CheckThrottle != nil {
		if err := d.CheckThrottle(given.Throttle); err != nil {
			return knobs, badRequest("throttle: "+err.Error(), "see docs/throttling.md for its keys")
		}
	}
	err = d.act(ctx, who, func(ctx context.Context, tx pgx.Tx) (err error) {
		knobs, err = d.Store.SetKnobs(ctx, tx, name, to)
		return err
	})
	s.done(ctx, d, who, "settings", name, err)
	return knobs, err
}

func (s *Server) patchMigration(w http.ResponseWriter, r *http.Request) error {
	d, err := s.database(r)
	if err != nil {
		return err
	}
	var to json.RawMessage
	if err := decode(r, &to); err != nil {
		return err
	}
	knobs, err := s.change(r.Context(), d, callerOf(r), r.PathValue("migration"), to)
	return respond(w, r, knobs, err)
}

// What can be done to a migration, besides the commands.
const (
	actionFinalize         = "finalize"
	actionRetryQuarantined = "retry-quarantined"
)

// result is what an action has led to.
type result struct {
	Name    string `json:"name"`
	Action  string `json:"action"`
	Before  string `json:"before"`  // status
	After   string `json:"after"`   // status
	Retried int64  `json:"retried"` // rows that were in quarantine
}

// perform does something to a migration, and says in the audit who wanted it.
func (s *Server) perform(ctx context.Context, d *database, who caller, action, name, reason string) (res result, err error) {
	res = result{Name: name, Action: action}
	switch command := control.Command(action); command {
	case control.Pause, control.Resume, control.Cancel, control.Retry:
		if reason = strings.TrimSpace(reason); reason == "" && who.Name != "" {
			reason = strings.NewReplacer("pause", "paused by ", "cancel", "cancelled by ").Replace(action) + who.Name
		}
		err = d.act(ctx, who, func(ctx context.Context, tx pgx.Tx) (err error) {
			res.Before, res.After, err = d.Store.Do(ctx, tx, command, name, reason)
			return err
		})
	case actionRetryQuarantined:
		err = d.act(ctx, who, func(ctx context.Context, tx pgx.Tx) (err error) {
			if res.Retried, err = d.Store.RetryQuarantined(ctx, tx, name, nil); err != nil {
				return err
			}
			return d.Store.Record(ctx, tx, name, action)
		})
	case actionFinalize:
		res.Before, err = s.finalize(ctx, d, who, name)
		res.After = res.Before
	default:
		return res, badRequest("there is no action "+action, "use pause, resume, cancel, retry, retry-quarantined or finalize")
	}
	s.done(ctx, d, who, action, name, err)
	return res, err
}

func (s *Server) finalize(ctx context.Context, d *database, who caller, name string) (status string, err error) {
	if d.Finalize == nil {
		return "", errNoFinalize
	}
	err = d.act(ctx, who, func(ctx context.Context, tx pgx.Tx) error {
		found, err := d.Store.ScanOne(ctx, tx, name)
		if err != nil {
			return err
		}
		if status = found.Status; status != control.StatusActive && status != control.StatusRunning {
			return fmt.Errorf("%w: migration %q is %s", errNoFinalize, name, status)
		}
		return d.Store.Record(ctx, tx, name, actionFinalize)
	})
	if err != nil {
		return status, err
	}
	if err := d.Finalize(name); err != nil {
		return status, fmt.Errorf("%w: %w", errNoFinalize, err)
	}
	return status, nil
}

func (s *Server) postAction(w http.ResponseWriter, r *http.Request) error {
	d, err := s.database(r)
	if err != nil {
		return err
	}
	var given struct {
		Reason string `json:"reason"`
	}
	if r.ContentLength != 0 {
		if err := decode(r, &given); err != nil {
			return err
		}
	}
	res, err := s.perform(r.Context(), d, callerOf(r), r.PathValue("action"), r.PathValue("migration"), given.Reason)
	return respond(w, r, res, err)
}
