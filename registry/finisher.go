package registry

// Command is a statement and its arguments, as texts whose types PostgreSQL
// infers. A nil argument is NULL.
type Command struct {
	SQL  string
	Args []*string
}

// Finisher is what the transaction of a batch may be besides [pgx.Tx]: the
// executor's are, others need not be. It takes the last statements of a Work that
// needs no answer to them, and sends them with the batch's bookkeeping in one round trip.
type Finisher interface {
	// Finish leaves commands to be run in order once the Work has returned nil. The
	// rows that they affect are added to [Result.Rows], and an error of theirs is the
	// batch's.
	Finish(commands ...Command) error
}
