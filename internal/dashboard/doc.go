// Package dashboard serves a web page that shows and operates background
// migrations, and the JSON API under it, which openapi.yaml describes.
//
// What it shows comes out of the control schema of every database, so that it is
// the same whichever replica is asked. Pages work without JavaScript; with it they
// are kept up to date by server-sent events. A [Server] is told by its owner that something has
// changed ([Server.Changed]), looks once for all who watch the same page, at most
// once a second, and tells them. It sends no statement while nobody looks, or
// while nothing happens.
//
// # What it guarantees
//
// Nobody acts without the token, and nobody reads without it, unless there is
// none or its owner says that reading is public. Tokens are compared in constant time. A
// session is a signed cookie that pages of others can neither read nor use:
// HttpOnly, SameSite=Strict, and every request that changes something has to
// come from a page of the dashboard itself. A name that it was not told of is
// refused as a Host, so that no other page can rebind its own to it. What was
// done, and by whom, is in the audit of the control schema.
//
// Memory is bounded: so many watchers, one page of output for all of the same
// page, one page of every list, at most two queries at a time per database. A watcher that is slow
// sees the latest and not every change; one that does not read at all is dropped.
//
// # What it refuses
//
// It polls nothing, counts no rows, and loads nothing from elsewhere.
package dashboard
