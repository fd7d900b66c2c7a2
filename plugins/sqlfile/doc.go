// Package sqlfile makes a Work of a file of SQL.
//
// A file begins with a header of comments, which names the Work, its table and
// its parameters, and goes on with a section "run", whose statements process
// one batch, and at will a section "verify", whose one query counts what is
// still wrong. The batch's range stands in them as :range, or as :start and
// :end, and parameters as :name. docs/plugins-sql.md has the whole format.
//
// The package guarantees that a file which [Parse] accepts makes statements
// that stay what they are whatever values the parameters have: values become
// quoted constants with a cast. It refuses statements that could end the
// batch's transaction, unknown lines in the header, unknown placeholders, and
// whatever it does not understand, with the line and the way out.
package sqlfile
