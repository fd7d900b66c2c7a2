package initialize

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// check returns the statements that are left to run when what psql alone
// understands is taken out, and a transaction around all of it. It is an error where
// one of them cannot be part of the transaction in which models are applied.
func check(file string, all []statement) ([]statement, error) {
	kept := make([]statement, 0, len(all))
	var wrong []error
	for _, one := range all {
		reason := ""
		if one.meta {
			reason = unknownToSQL(one.text)
		} else {
			kept = append(kept, one)
		}
		if reason != "" {
			wrong = append(wrong, &StepError{File: file, Line: one.line, SQL: one.text, Err: errors.New(reason)})
		}
	}
	if n := len(kept); n >= 2 && begins(kept[0].words) && commits(kept[n-1].words) {
		kept = kept[1 : n-1]
	}
	for _, one := range kept {
		if reason := outsideOnly(one.words); reason != "" {
			wrong = append(wrong, &StepError{File: file, Line: one.line, SQL: beginning(one.text), Err: errors.New(reason)})
		}
	}
	return kept, errors.Join(wrong...)
}

// unknownToSQL says why a command of psql's is refused, or nothing where it may be passed over.
func unknownToSQL(text string) string {
	name, _, _ := strings.Cut(strings.TrimSpace(text), " ")
	switch strings.TrimSpace(name) {
	case `\restrict`, `\unrestrict`: // pg_dump's guard against commands of psql's in names
		return ""
	case `\connect`, `\c`:
		return name + " changes the database, and models go into the one that is configured: take it out"
	case `\i`, `\ir`, `\include`, `\include_relative`:
		return name + " is psql's, and reads another file: give the directory as models, whose files run in the order of their names"
	case `\copy`:
		return name + ` is psql's, and reads a file of the client's: write COPY … FROM stdin and the rows`
	default:
		return name + " is a command of psql's, and no SQL: take it out, or make it SQL"
	}
}

func begins(words []string) bool {
	return slices.Equal(words, []string{"BEGIN"}) || slices.Equal(words, []string{"BEGIN", "TRANSACTION"}) ||
		slices.Equal(words, []string{"BEGIN", "WORK"}) || slices.Equal(words, []string{"START", "TRANSACTION"})
}

func commits(words []string) bool {
	return len(words) > 0 && len(words) <= 2 && (words[0] == "COMMIT" || words[0] == "END") &&
		(len(words) == 1 || words[1] == "TRANSACTION" || words[1] == "WORK")
}

// outsideOnly says why a statement cannot run in a transaction that is not its own, or nothing.
func outsideOnly(words []string) string {
	const alone = ", which PostgreSQL does not do in a transaction, and models are applied in one: put it into a migration"
	first, second := word(words, 0), word(words, 1)
	switch {
	case slices.Contains([]string{"BEGIN", "START", "COMMIT", "END", "ABORT"}, first),
		first == "ROLLBACK" && !slices.Contains(words, "TO"),
		first == "PREPARE" && second == "TRANSACTION":
		return first + " begins or ends a transaction, and models are applied in one as a whole: take it out"
	case concurrent(words):
		return "this builds, drops or detaches CONCURRENTLY" + alone + ", or leave CONCURRENTLY out: nobody uses an empty database"
	case first == "VACUUM",
		first == "ALTER" && second == "SYSTEM",
		slices.Contains([]string{"CREATE", "DROP"}, first) && slices.Contains([]string{"DATABASE", "TABLESPACE"}, second),
		first == "REINDEX" && (slices.Contains(words, "DATABASE") || slices.Contains(words, "SYSTEM")),
		first == "CLUSTER" && len(words) == 1:
		return fmt.Sprintf("this is %s%s", strings.TrimSpace(first+" "+second), alone)
	case copiesOut(words):
		return "COPY … TO stdout sends rows, and nobody takes them: take it out"
	default:
		return ""
	}
}

// concurrent reports whether a statement is one of those CONCURRENTLY ones that wait for other
// transactions instead of keeping them out, and cannot run in a transaction.
func concurrent(words []string) bool {
	if !slices.Contains(words, "CONCURRENTLY") {
		return false
	}
	switch word(words, 0) {
	case "CREATE", "DROP":
		return word(words, 1) == "INDEX" || word(words, 2) == "INDEX"
	case "REINDEX":
		return true
	case "ALTER":
		return slices.Contains(words, "DETACH")
	default: // REFRESH MATERIALIZED VIEW CONCURRENTLY may run in one
		return false
	}
}

func word(words []string, i int) string {
	if i < len(words) {
		return words[i]
	}
	return ""
}

// wordsOf returns the first words of a statement that are not in quotes, in capitals.
func wordsOf(sql string) []string {
	l := lexer{text: sql}
	var words []string
	for len(words) < maxWords {
		t, err := l.next()
		if err != nil || t.kind == tokenEnd {
			break
		}
		if t.kind == tokenWord {
			words = append(words, strings.ToUpper(sql[t.start:t.end]))
		}
	}
	return words
}

// beginning returns a statement, or as much of it as fits into a message.
func beginning(sql string) string {
	const most = 2000
	if len(sql) <= most {
		return sql
	}
	return strings.ToValidUTF8(sql[:most], "") + " …"
}
