// Package invariants checks what must always hold of a background migration,
// whatever died while it ran: that its jobs tile its key range, that attempts
// and crashes are accounted for, that nothing is left open, that every change
// of status is on record, and that every row was processed exactly once.
//
// [Check] reads the control schema, and compares keys as the key's own type. It
// holds for migrations in any status: of one that is not finished it demands
// what must hold by then. [Counted] reads the migration's table, whose rows the
// Work is to have counted. [Record] writes down, from then on, every change of
// a job; Check then also demands that each of them was legitimate: a job is
// taken over from a dead owner only, crashes are counted for starts that were
// committed beforehand and for no others, and what is finished stays so.
//
// It knows nothing of the executor but what it leaves in the database, so that
// any test of any Work, plugin or daemon may end with it.
package invariants
