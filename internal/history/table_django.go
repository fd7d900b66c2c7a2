package history

import (
	"context"
	"slices"
	"strings"
)

func djangoSignature() signature {
	return signature{
		tool:    Django,
		table:   "django_migrations",
		columns: map[string]kind{"id": integer, "app": text, "name": text, "applied": moment},
		read:    readDjango,
	}
}

// readDjango names a migration app.name. Every app has a history of its own.
func readDjango(ctx context.Context, db DB, t *found) (state, error) {
	applied, err := column(ctx, db, "SELECT app || '.' || name FROM "+t.sql()+" ORDER BY id")
	if err != nil {
		return state{}, err
	}
	newest := map[string]string{}
	for _, v := range applied {
		app, _, _ := strings.Cut(v, ".")
		newest[app] = max(newest[app], v) // names begin with a number of four digits
	}
	var current []string
	for _, v := range newest {
		current = append(current, v)
	}
	slices.Sort(current)
	return state{applied: applied, current: current, remedy: "python manage.py migrate --fake"}, nil
}
