package sqlfile

import "encoding/json"

// Filled returns the statements of the section "run" as they are for arguments.
func (f *File) Filled(arguments string) ([]string, error) {
	constants, err := f.constants(json.RawMessage(arguments))
	if err != nil {
		return nil, err
	}
	filled := make([]string, len(f.run))
	for i, s := range f.run {
		filled[i] = s.fill(constants)
	}
	return filled, nil
}

// Sketched returns the statements of the section "run" without parameters.
func (f *File) Sketched() []string {
	sketched := make([]string, len(f.run))
	for i, s := range f.run {
		sketched[i] = s.sketch()
	}
	return sketched
}

// Constant returns a value as a constant of a type.
func Constant(typeName, value string) (string, error) {
	return types[typeName].constant(json.RawMessage(value))
}
