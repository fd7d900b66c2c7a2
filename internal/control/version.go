package control

// Version returns the version of the control schema that [Install] installs.
func Version() int {
	all, err := steps()
	if err != nil {
		panic("embedded control schema: " + err.Error()) // impossible in a binary whose tests passed
	}
	return all[len(all)-1].version
}
