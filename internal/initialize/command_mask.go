package initialize

import (
	"regexp"
	"slices"
	"strings"
)

// mask makes secrets unreadable in what programs print.
type mask []string

// hidden stands for a secret.
const hidden = "***"

// shortestSecret is how long a secret is at least to be looked for by itself: a
// shorter one would be found in every other word. In a connection string it is hidden all the same.
const shortestSecret = 4

// newMask hides these texts, the longest first, since one may be part of another.
func newMask(secrets ...string) mask {
	kept := slices.DeleteFunc(slices.Clone(secrets), func(s string) bool { return len(s) < shortestSecret })
	slices.SortFunc(kept, func(a, b string) int { return len(b) - len(a) })
	return slices.Compact(kept)
}

// apply returns a line without its secrets.
func (m mask) apply(line string) string {
	for _, secret := range m {
		line = strings.ReplaceAll(line, secret, hidden)
	}
	if strings.Contains(line, "://") {
		line = passwordInURL().ReplaceAllString(line, "${1}"+hidden+"@")
	}
	if strings.Contains(line, "password") {
		line = passwordInWords().ReplaceAllString(line, "${1}"+hidden)
	}
	return line
}

// passwordInURL finds the password of scheme://user:password@host.
func passwordInURL() *regexp.Regexp {
	return regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9+.-]*://[^\s:/@'"]*:)[^\s@'"]+@`)
}

// passwordInWords finds the password of a connection string of keywords.
func passwordInWords() *regexp.Regexp {
	return regexp.MustCompile(`(\bpassword\s*=\s*)('[^']*'|[^\s'"&]+)`)
}
