package process

// CheckStatement is what is checked of a statement that may write.
func CheckStatement(sql string) error { return checkStatement(sql, writingCommands) }
