package plugins

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Lock says which plugins somebody vouches for, by name. Nil vouches for none.
type Lock map[string]Locked

// Locked is what a lock file says of a plugin.
type Locked struct {
	Kind   Kind   `json:"kind"`
	Digest string `json:"digest"`
}

// maxLock bounds a lock file.
const maxLock = 1 << 20

// ReadLock reads a lock file: a JSON object of plugins by name. A file that does
// not exist, and the empty path, vouch for nothing. It refuses a file that others
// can write.
func ReadLock(path string) (Lock, error) {
	if path == "" {
		return nil, nil //nolint:nilnil // no lock vouches for nothing
	}
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // no lock vouches for nothing
	}
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	info, err := file.Stat()
	if err == nil {
		err = checkWriters(path, file, info)
	}
	if err != nil {
		return nil, fmt.Errorf("open lock file: %w", err)
	}
	content, err := io.ReadAll(io.LimitReader(file, maxLock+1))
	if err != nil {
		return nil, fmt.Errorf("read lock file: %w", err)
	}
	lock, err := ParseLock(content)
	if err != nil {
		return nil, fmt.Errorf("lock file %s: %w: correct it, or write it anew with bbmd plugins lock", path, err)
	}
	return lock, nil
}

// ParseLock reads the content of a lock file strictly.
func ParseLock(content []byte) (Lock, error) {
	if len(content) > maxLock {
		return nil, fmt.Errorf("more than %d bytes", maxLock)
	}
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	var lock Lock
	if err := decoder.Decode(&lock); err != nil {
		return nil, fmt.Errorf("not the JSON that is expected: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the object")
	}
	for name, locked := range lock {
		if locked.Kind == "" {
			return nil, fmt.Errorf("plugin %q has no kind", name)
		}
		if !digestPattern.MatchString(locked.Digest) {
			return nil, fmt.Errorf("plugin %q has the digest %q, which is not sha256: and 64 hexadecimal digits", name, locked.Digest)
		}
	}
	return lock, nil
}

// Format returns the content of a lock file, the same for the same plugins.
func (l Lock) Format() []byte {
	if l == nil {
		l = Lock{}
	}
	content, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		panic("plugins: format lock: " + err.Error()) // strings always marshal
	}
	return append(content, '\n')
}

// Write writes a lock file, so that whoever reads it finds the old content or
// the new one, also after a crash.
func (l Lock) Write(path string) error {
	if err := l.write(path); err != nil {
		return fmt.Errorf("write lock file %s: %w", path, err)
	}
	return nil
}

func (l Lock) write(path string) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".plugins.lock-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }() // it is gone where all went well
	_, err = file.Write(l.Format())
	if err == nil {
		err = file.Chmod(0o644) // a lock is no secret, and other users' commands read it
	}
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// judge returns the state that a lock gives a candidate under a policy, why, and
// whether it may be used.
func (l Lock) judge(kind Kind, c Candidate, policy Policy) (state State, reason string, usable bool) {
	locked, known := l[c.Name]
	switch {
	case policy == PolicyOff, known && locked == Locked{Kind: kind, Digest: c.Digest}:
		return StateOK, "", true
	case !known:
		state = StateUnpinned
		reason = fmt.Sprintf("the lock file does not name it: if %s is as it should be, bbmd plugins lock --update %s", c.Path, c.Name)
	case locked.Kind != kind:
		state = StateMismatch
		reason = fmt.Sprintf("the lock file names a plugin of kind %s and this one is of kind %s: if %s is as it should be, bbmd plugins lock --update %s", locked.Kind, kind, c.Path, c.Name)
	default:
		state = StateMismatch
		reason = fmt.Sprintf("the lock file says %s and it is %s: put back what was vouched for, or, if %s is as it should be, bbmd plugins lock --update %s", short(locked.Digest), short(c.Digest), c.Path, c.Name)
	}
	return state, reason, policy == PolicyWarn
}
