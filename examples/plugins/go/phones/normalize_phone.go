package phones

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/bbmd-dev/bbmd/registry"
)

// Normalize is the Work normalize_phone_go.
var Normalize = registry.Work{ //nolint:gochecknoglobals // a Work is a constant in all but name
	Name:      "normalize_phone_go",
	Summary:   "Fills phone_e164 with the number in international form.",
	Arguments: &arguments{},
	Check:     check,
	Run:       normalize,
	Verify:    verify,
}

type arguments struct {
	Country string `json:"country"` // prefix of numbers without one, such as +49
}

func (a arguments) Validate() error {
	if !strings.HasPrefix(a.Country, "+") {
		return errors.New(`country has to begin with +, such as "+49"`)
	}
	return nil
}

func normalize(ctx context.Context, tx pgx.Tx, b registry.Batch) (registry.Result, error) {
	args, err := registry.Decode[arguments](b.Arguments)
	if err != nil {
		return registry.Result{}, err
	}
	// Locked, so that nobody changes a number between reading and writing it.
	rows, err := tx.Query(ctx, "SELECT id, phone FROM "+b.Table+" WHERE "+b.Where()+" AND phone IS NOT NULL ORDER BY id FOR NO KEY UPDATE", b.Args()...)
	if err != nil {
		return registry.Result{}, err
	}
	var ids []int64
	var phones []string
	var id int64
	var phone string
	_, err = pgx.ForEachRow(rows, []any{&id, &phone}, func() error {
		ids, phones = append(ids, id), append(phones, international(phone, args.Country))
		return nil
	})
	if err != nil {
		return registry.Result{}, err
	}
	tag, err := tx.Exec(ctx, "UPDATE "+b.Table+" t SET phone_e164 = n.phone FROM unnest($1::bigint[], $2::text[]) n (id, phone) WHERE t.id = n.id", ids, phones)
	return registry.Affected(tag), err
}

func international(phone, country string) string {
	digits := strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, phone)
	switch {
	case strings.HasPrefix(strings.TrimSpace(phone), "+"):
		return "+" + digits
	case strings.HasPrefix(digits, "00"):
		return "+" + digits[2:]
	default:
		return country + strings.TrimPrefix(digits, "0")
	}
}

func check(ctx context.Context, db registry.Querier, m registry.Migration) error {
	rows, err := db.Query(ctx, "SELECT id, phone, phone_e164 FROM "+m.Table+" LIMIT 0")
	if err != nil {
		return err
	}
	rows.Close()
	return rows.Err()
}

func verify(ctx context.Context, db registry.Querier, b registry.Batch) (wrong int64, err error) {
	err = db.QueryRow(ctx, "SELECT count(*) FROM "+b.Table+" WHERE "+b.Where()+" AND phone IS NOT NULL AND phone_e164 IS NULL", b.Args()...).Scan(&wrong)
	return wrong, err
}
