package prelude

import (
	"encoding/binary"

	"github.com/jackc/pgx/v5/pgproto3"
)

// Group is the prelude's statements, encoded. The zero Group is empty.
type Group struct {
	data  []byte
	count int
	err   error
}

// Add adds a statement that the connection has prepared under a name, with its parameters as text; nil is NULL.
func (g *Group) Add(name string, parameters ...[]byte) {
	data, err := (&pgproto3.Bind{PreparedStatement: name, Parameters: parameters}).Encode(g.data)
	if err == nil {
		data, err = (&pgproto3.Execute{}).Encode(data)
	}
	if err != nil {
		g.err = err
		return
	}
	g.data, g.count = data, g.count+1
}

// Reset empties the group, and keeps its memory.
func (g *Group) Reset() { *g = Group{data: g.data[:0]} }

// headerSize is that of each message's type and length, in bytes.
const headerSize = 5

// skippable reports whether the server passes over all of data when what came before it has failed, and answers it as pgx
// expects: it is whole messages of the extended protocol, and ends with its only Sync.
func skippable(data []byte) bool {
	for len(data) >= headerSize {
		size := 1 + uint64(binary.BigEndian.Uint32(data[1:]))
		if size < headerSize || size > uint64(len(data)) {
			return false
		}
		kind := data[0]
		data = data[size:]
		switch kind {
		case 'P', 'B', 'D', 'E', 'C':
		case 'S':
			return len(data) == 0
		default:
			return false
		}
	}
	return false
}
