// Package history knows what schema migration tools leave in a database, and
// the histories that they keep in files.
//
// [Find] recognises the version tables of 23 tools, by table and by columns,
// in any schema, and says what each of them holds: the versions that count as
// applied, and whether the tool itself would refuse to go on, with the command
// that mends it. It reads and never writes, and it reports as an error a table
// that it may not read, instead of taking it for empty.
//
// [Open] reads a history from a directory, without the tool: goose's SQL files
// and registered Go migrations, and Alembic's revision graph, which is parsed
// without running Python. A [Files] says which steps a database lacks
// ([Files.Compare]), what a version that someone typed means
// ([Files.Resolve]), and writes the version table as the tool would have
// written it ([Files.Stamp]). [Stamp] does that for tools whose files are not
// read here: golang-migrate, tern and dbmate.
//
// It guarantees that a history it cannot read with certainty is an error with
// file and line, and never a guess: a revision whose identifier is computed, a
// file that goose would pass over although it looks like a migration, an
// annotation of bbmd's in a place where it would not be seen.
//
// It refuses to write for any other tool: those have bookkeeping, checksums
// most of all, that only they can get right. Their [Record.Remedy] names the
// command. It imports nothing else of bbmd.
package history
