package registry

import "context"

// Ahead is what the transaction of a batch may be besides [pgx.Tx]: the
// executor's are, others need not be. It lets a Work begin what needs no transaction
// of the next batch while the server is still at the end of this one.
type Ahead interface {
	// Ahead leaves begin to be called when this batch's last statements are on their
	// way, with the batch that is next; not at all where none is, or it is not known yet.
	// It must not wait, and may return nil. Whether this batch is committed is not known then.
	Ahead(begin func(ctx context.Context, next Batch) Begun)

	// Begun returns, once, what was begun for exactly this batch, or nil.
	Begun() Begun
}

// Begun is a batch that was begun ahead of its transaction.
type Begun interface {
	// Drop is called instead of [Ahead.Begun] when the batch is not run as it was
	// announced: it failed to be the next, or the worker ends. It must not wait.
	Drop()
}
