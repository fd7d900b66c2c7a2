// Command peers runs what bbmd is measured beside: a job queue, a polling worker and
// a tool for schema migrations, each as its documentation recommends. It is a program of its
// own, in a module of its own, so that what they bring is in nobody else's go.mod.
//
//	peers river [-fetch-cooldown 1ms] URL
//
// is a client of River: its tables by its migrator, one queue with a hundred workers as in its
// README, everything else as it comes, and jobs by InsertTx.
//
//	peers gitlab [-interval 1m] [-skip] URL
//
// is a worker that takes the steps of the GitLab container registry's asynchronous worker for batched
// background migrations, one statement for each of its: a run begins a transaction, tries the
// advisory lock, finds the first running or active migration, checks that its table and column are there, finds or makes
// its next job, calls the Work on another connection, writes the job's status and commits. After a run it sleeps: the interval, give or
// take a third, and after runs that found nothing half as long again each time, up to half
// an hour. It was written from the published algorithm (registry/bbm and registry/datastore of the container registry, state of
// December 2025) and differs where that is kinder to it: statements are prepared, connections stay
// open, archiving is off so that nothing is asked about the write-ahead log, a run that fails ends the measurement, and
// the start's random wait of up to a minute is left out. With -skip it does not sleep: the time is
// added to its clock, so that a day of a worker that looks once a minute takes no day.
//
//	peers golang-migrate
//
// applies a directory by golang-migrate and its driver for pgx, from a new connection to its end.
//
// Each says in one line of JSON what it is and how it is set up, and then answers each line of its standard
// input (a request) with another, until the input ends. What is timed is timed here, so that the way to this
// process and back is not in it.
package main
