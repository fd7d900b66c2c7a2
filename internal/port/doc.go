// Package port serves HTTP on a port that is taken before anything else starts.
//
// It guarantees that a port which is not to be had is told at once, with what to
// do about it; that requests which are being answered at the end are finished, for as
// long as they may take; and that the port is free again when [Port.Serve] returns.
//
// It refuses to know what is served, and logs nothing but what it cuts off. It is a leaf and imports nothing of bbmd.
package port
