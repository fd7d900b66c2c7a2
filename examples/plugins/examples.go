package examples

import _ "embed"

// Python is bbmd.py.
//
//go:embed python/bbmd.py
var Python []byte

// Node is bbmd.js.
//
//go:embed node/bbmd.js
var Node []byte
