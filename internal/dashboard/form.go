package dashboard

import (
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
)

// argumentPrefix is before the name of an argument in a form.
const argumentPrefix = "arg."

// enqueueOf makes a migration of a form.
func enqueueOf(work Work, form url.Values) (e enqueueRequest, err error) {
	f := fields{form: form}
	e = enqueueRequest{
		Work: form.Get("work"), Table: f.text("table_name"), Name: f.text("name"), Columns: f.text("column_name"),
		Min: f.optional("min_value"), Max: f.optional("max_value"), BatchSize: f.number("batch_size"),
		Parallelism: f.number("parallelism"), MaxAttempts: f.number("max_attempts"), TargetMillis: f.milliseconds("target_duration_ms"),
		Strategy: f.text("batching_strategy"), Paused: form.Get("paused") != "",
	}
	if priority := f.number("priority"); priority != nil {
		e.Priority = *priority
	}
	if most := f.number("max_quarantined"); most != nil {
		e.MaxQuarantined = *most
	}
	if pause := f.milliseconds("pause_ms"); pause != nil {
		e.PauseMillis = *pause
	}
	for name := range strings.SplitSeq(form.Get("depends_on"), ",") {
		if name = strings.TrimSpace(name); name != "" {
			e.DependsOn = append(e.DependsOn, name)
		}
	}
	e.Arguments = f.arguments(work)
	return e, f.wrong
}

// fields reads a form, and remembers the first thing that is wrong with it.
type fields struct {
	form  url.Values
	wrong error
}

func (f *fields) text(name string) string { return strings.TrimSpace(f.form.Get(name)) }

func (f *fields) optional(name string) *string {
	text := f.text(name)
	if text == "" {
		return nil
	}
	return &text
}

func (f *fields) refuse(name, what string) {
	if f.wrong == nil {
		f.wrong = badRequest(name+" is "+strconv.Quote(f.text(name)), what)
	}
}

func (f *fields) number(name string) *int32 {
	text := f.text(name)
	if text == "" {
		return nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		f.refuse(name, "write a whole number")
	}
	value := int32(n)
	return &value
}

func (f *fields) milliseconds(name string) *float64 {
	text := f.text(name)
	if text == "" {
		return nil
	}
	ms, err := strconv.ParseFloat(text, 64)
	if err != nil {
		f.refuse(name, "write a number of milliseconds")
	}
	return &ms
}

// arguments makes JSON of the fields that the work's arguments have. A field that
// is left empty is left out.
func (f *fields) arguments(work Work) json.RawMessage {
	object := map[string]json.RawMessage{}
	for _, a := range work.Arguments {
		name := argumentPrefix + a.Name
		text := f.form.Get(name)
		if strings.TrimSpace(text) == "" {
			continue
		}
		raw := json.RawMessage(text)
		if a.Type == "string" {
			quoted, err := json.Marshal(strings.ReplaceAll(text, "\r\n", "\n"))
			if err != nil {
				f.refuse(name, "write text")
				continue
			}
			raw = quoted
		}
		if !json.Valid(raw) {
			f.refuse(name, "write a "+a.Type+", as JSON has it")
			continue
		}
		object[a.Name] = raw
	}
	arguments, err := json.Marshal(object)
	if err != nil {
		f.refuse(argumentPrefix, "write JSON")
	}
	return arguments
}
