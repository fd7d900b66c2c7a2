package plugins

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
)

// Digest returns the digest of a content, as "sha256:…".
func Digest(content []byte) string {
	sum := sha256.Sum256(content)
	return digestPrefix + hex.EncodeToString(sum[:])
}

const digestPrefix = "sha256:"

var digestPattern = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// short returns as much of a digest as people compare.
func short(digest string) string {
	const shown = len(digestPrefix) + 12
	if len(digest) <= shown {
		return digest
	}
	return digest[:shown]
}
