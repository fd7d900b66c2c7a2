// Package health answers what watches bbmd from outside: whether it is alive
// (/livez), whether it does its work (/readyz), and how well (/metrics).
//
// Live means that its loops respond. A database that is down, a migration that
// takes hours, a listener that reconnects are no reason to be restarted, and
// do not make it fail. Ready means that it can do its work now: it listens,
// its databases are reachable, its control schemas are right.
//
// It guarantees:
//
//   - A probe costs nothing: a [Check] asks a part of the process for what it
//     knows already, within a deadline, and runs no statement. A check that
//     does not answer fails, and is not asked again while it hangs.
//   - Not ready comes before not serving: readiness fails the moment the
//     context of [Server.Run] ends, and the server goes on answering until the
//     work is drained.
//   - Metrics keep their names and labels; [Metrics] lists them.
//
// It refuses to decide anything: it reports what its checks say. It
// imports nothing of bbmd but the port that it is served on.
package health
