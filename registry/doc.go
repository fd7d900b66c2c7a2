// Package registry holds the Works that a bbmd process can run, by name.
//
// A [Work] is the code that processes one batch of a background migration. It
// registers itself in an init function, as database/sql drivers do, and a
// migration names it in job_signature_name. The names, statuses and errors
// follow the GitLab container registry's background migrations.
//
// The package guarantees that a name stands for one Work, that a Work is
// complete when it is registered, and that arguments reach a Work only after
// they were decoded strictly and validated. It refuses a second registration
// of a name. It imports nothing else of bbmd and opens no connection.
package registry
