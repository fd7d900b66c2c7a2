package dashboard

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// postPageAction does what a button of a migration's page says.
func (s *Server) postPageAction(w http.ResponseWriter, r *http.Request) error {
	d, err := s.database(r)
	if err != nil {
		return err
	}
	name, action := r.PathValue("migration"), r.PathValue("action")
	if _, err := s.perform(r.Context(), d, callerOf(r), action, name, r.PostFormValue("reason")); err != nil {
		return err
	}
	s.back(w, r, d, name, action)
	return nil
}

// back leads to the page of a migration after something was done to it.
func (s *Server) back(w http.ResponseWriter, r *http.Request, d *database, name, action string) {
	http.Redirect(w, r, d.linkTo(name)+"?done="+url.QueryEscape(action), http.StatusSeeOther) //nolint:gosec // a path of ours, below /databases/
}

// settingField is a setting of a migration, as its form has it.
type settingField struct {
	name     string
	nullable bool
	parse    func(text string) (any, error)
}

func settingFields() []settingField {
	whole := func(text string) (any, error) { return strconv.ParseInt(text, 10, 32) }
	number := func(text string) (any, error) { return strconv.ParseFloat(text, 64) }
	object := func(text string) (any, error) {
		var raw map[string]any
		return json.RawMessage(text), json.Unmarshal([]byte(text), &raw)
	}
	return []settingField{
		{"parallelism", false, whole},
		{"priority", false, whole},
		{"pause_ms", false, number},
		{"target_duration_ms", true, number},
		{"batch_size", false, whole},
		{"min_batch_size", false, whole},
		{"max_batch_size", false, whole},
		{"max_attempts", true, whole},
		{"max_quarantined", false, whole},
		{"throttle", true, object},
	}
}

// settingsOf returns what somebody changed in a form: what others have changed
// since it was shown stays.
func settingsOf(form url.Values) (json.RawMessage, error) {
	change := map[string]any{}
	for _, field := range settingFields() {
		text := strings.TrimSpace(form.Get(field.name))
		if !form.Has(field.name) || text == strings.TrimSpace(form.Get("was_"+field.name)) {
			continue
		}
		if text == "" && field.nullable {
			change[field.name] = nil
			continue
		}
		value, err := field.parse(text)
		if err != nil {
			return nil, badRequest(field.name+" is "+strconv.Quote(text), "write a number, or for the throttle a JSON object")
		}
		change[field.name] = value
	}
	return json.Marshal(change)
}

func (s *Server) postSettings(w http.ResponseWriter, r *http.Request) error {
	d, err := s.database(r)
	if err != nil {
		return err
	}
	if err := r.ParseForm(); err != nil {
		return badRequest("the form cannot be read", "load the page again")
	}
	change, err := settingsOf(r.PostForm)
	if err != nil {
		return err
	}
	name := r.PathValue("migration")
	if _, err := s.change(r.Context(), d, callerOf(r), name, change); err != nil {
		return err
	}
	s.back(w, r, d, name, "settings")
	return nil
}

// enqueuePage is the form of a new migration.
type enqueuePage struct {
	Database string
	Works    []Work
	Work     *Work  // chosen; nil: it has to be
	Unknown  string // a work that is not here
	Form     url.Values
	Problem  *problem // why it was not enqueued
}

// Value is what a field had when it was refused.
func (p enqueuePage) Value(name string) string { return p.Form.Get(name) }

func (s *Server) getEnqueue(w http.ResponseWriter, r *http.Request) error {
	return s.showEnqueue(w, r, http.StatusOK, enqueuePage{Form: r.URL.Query()})
}

func (s *Server) showEnqueue(w http.ResponseWriter, r *http.Request, status int, body enqueuePage) error {
	d, err := s.database(r)
	if err != nil {
		return err
	}
	body.Database, body.Works = d.Name, s.options.Works()
	if name := r.FormValue("work"); name != "" {
		i := slices.IndexFunc(body.Works, func(w Work) bool { return w.Name == name })
		if i >= 0 {
			body.Work = &body.Works[i]
		} else {
			body.Unknown = name
		}
	}
	return s.show(w, r, status, "enqueue", view{Title: "Enqueue a migration", Crumbs: d.crumbs(), Body: body})
}

func (s *Server) postEnqueue(w http.ResponseWriter, r *http.Request) error {
	d, err := s.database(r)
	if err != nil {
		return err
	}
	if err := r.ParseForm(); err != nil {
		return badRequest("the form cannot be read", "load the page again")
	}
	work, _ := s.work(r.PostForm.Get("work"))
	wanted, err := enqueueOf(work, r.PostForm)
	var name string
	if err == nil {
		name, err = s.enqueue(r.Context(), d, callerOf(r), wanted)
	}
	if err == nil {
		s.back(w, r, d, name, "enqueue")
		return nil
	}
	p, known := problemKnown(err)
	if !known || errors.Is(err, errAway) {
		return err
	}
	p.Detail = s.options.Redact(p.Detail)
	return s.showEnqueue(w, r, p.Status, enqueuePage{Form: r.PostForm, Problem: &p})
}
