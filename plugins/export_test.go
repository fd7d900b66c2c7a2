package plugins

// Judge is judge, for tests of all its cases.
func (l Lock) Judge(kind Kind, c Candidate, policy Policy) (State, string, bool) {
	return l.judge(kind, c, policy)
}
