package notify

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/jackc/pglogrepl"
)

// cursor reads the fields of a message of pgoutput. A field that is not whole
// makes it broken, and it reads zeros from then on. The bytes are the message's
// own: they last until the next one is received.
//
// It is ours because the parsers of pglogrepl take the lengths in a message for
// granted, and end in a panic, or in gigabytes of memory, where they are wrong.
type cursor struct {
	rest   []byte
	broken bool
}

func (c *cursor) take(n int) []byte {
	if c.broken || n < 0 || n > len(c.rest) {
		c.broken, c.rest = true, nil
		return nil
	}
	taken := c.rest[:n]
	c.rest = c.rest[n:]
	return taken
}

func (c *cursor) byte() byte {
	if b := c.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) uint16() uint16 {
	if b := c.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}

func (c *cursor) uint32() uint32 {
	if b := c.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (c *cursor) lsn() pglogrepl.LSN {
	if b := c.take(8); b != nil {
		return pglogrepl.LSN(binary.BigEndian.Uint64(b))
	}
	return 0
}

func (c *cursor) text() string {
	end := bytes.IndexByte(c.rest, 0)
	if end < 0 {
		c.broken, c.rest = true, nil
		return ""
	}
	return string(c.take(end + 1)[:end])
}

// value is one column of a row.
type value struct {
	kind byte // of pglogrepl.TupleDataType…
	data []byte
}

// tuple reads a row into a slice that it may reuse.
func (c *cursor) tuple(row []value) []value {
	row = row[:0]
	for range c.uint16() {
		v := value{kind: c.byte()}
		switch v.kind {
		case pglogrepl.TupleDataTypeNull, pglogrepl.TupleDataTypeToast:
		case pglogrepl.TupleDataTypeText, pglogrepl.TupleDataTypeBinary:
			v.data = c.take(int(c.uint32()))
		default:
			c.broken = true
		}
		if c.broken {
			return nil
		}
		row = append(row, v)
	}
	return row
}

// relation reads the description of a table.
func (c *cursor) relation() (id uint32, schema, name string, columns []string) {
	id, schema, name = c.uint32(), c.text(), c.text()
	c.byte() // its replica identity
	for range c.uint16() {
		c.byte() // whether it is a part of that
		columns = append(columns, c.text())
		c.take(8) // its type
		if c.broken {
			break
		}
	}
	return id, schema, name, columns
}

// decoder turns messages of pgoutput, as of version 1 of its protocol, into
// events. Transactions arrive whole and in the order of their commits.
type decoder struct {
	schema    string // of the tables that are ours
	relations map[uint32]*relation
	known     map[string]migration // by id

	ignored func() // told of each message that is not for us

	open   bool // inside of a transaction
	xid    uint32
	events []Event
	equal  map[Event]struct{} // those of events
	row    []value
}

func newDecoder(schema string) *decoder {
	return &decoder{
		schema: schema, relations: make(map[uint32]*relation),
		known: make(map[string]migration), equal: make(map[Event]struct{}), ignored: func() {},
	}
}

// errOutOfOrder means that the stream is not what we take it for.
var errOutOfOrder = errors.New("a message is not where it belongs")

// decode decodes one message. At the end of a transaction it returns where that
// is in the log; there is something to take then, and at no other time but after
// a message outside of transactions.
func (d *decoder) decode(data []byte) (end pglogrepl.LSN, err error) {
	c := &cursor{rest: data}
	kind := pglogrepl.MessageType(c.byte())
	switch kind {
	case pglogrepl.MessageTypeBegin:
		err = d.begin(c)
	case pglogrepl.MessageTypeCommit:
		end, err = d.commit(c)
	case pglogrepl.MessageTypeRelation:
		d.describe(c)
	case pglogrepl.MessageTypeInsert, pglogrepl.MessageTypeUpdate, pglogrepl.MessageTypeDelete:
		err = d.changed(kind, c)
	case pglogrepl.MessageTypeMessage:
		d.message(c)
	case pglogrepl.MessageTypeOrigin, pglogrepl.MessageTypeType, pglogrepl.MessageTypeTruncate:
		return 0, nil // they tell nothing that somebody would have to look at
	default:
		return 0, fmt.Errorf("message of a kind that was not asked for: %q", byte(kind))
	}
	switch {
	case c.broken:
		return 0, fmt.Errorf("message of kind %q is cut short", byte(kind))
	case err != nil:
		return 0, fmt.Errorf("message of kind %q: %w", byte(kind), err)
	default:
		return end, nil
	}
}

func (d *decoder) begin(c *cursor) error {
	c.take(16) // its end and its time
	xid := c.uint32()
	if d.open {
		return errOutOfOrder
	}
	d.open, d.xid = true, xid
	return nil
}

func (d *decoder) commit(c *cursor) (pglogrepl.LSN, error) {
	c.take(9) // flags, and where the commit itself is
	end := c.lsn()
	c.take(8) // its time
	if !d.open {
		return 0, errOutOfOrder
	}
	d.open = false
	return end, nil
}

// message is what pg_logical_emit_message wrote, in a transaction or outside.
func (d *decoder) message(c *cursor) {
	c.take(9) // whether it is transactional, and where it is
	prefix := c.text()
	content := c.take(int(c.uint32()))
	if c.broken {
		return
	}
	if len(content) > maxPayload {
		content = nil
	}
	if event, ok := known(prefix, string(content)); ok {
		d.tell(event)
	} else {
		d.ignored()
	}
}

// changed handles a row that was inserted, updated or deleted.
func (d *decoder) changed(kind pglogrepl.MessageType, c *cursor) error {
	id := c.uint32()
	part := c.byte()
	row := c.tuple(d.row)
	if kind == pglogrepl.MessageTypeUpdate && (part == 'K' || part == 'O') { // the row as it was comes first
		part = c.byte()
		row = c.tuple(row)
	}
	if c.broken {
		return nil // the caller finds out
	}
	d.row = row
	if (part == 'N') != (kind != pglogrepl.MessageTypeDelete) || (part != 'N' && part != 'K' && part != 'O') {
		return fmt.Errorf("a row of kind %q", part)
	}
	relation := d.relations[id]
	switch {
	case !d.open:
		return errOutOfOrder
	case relation == nil:
		return fmt.Errorf("a change of table %d, which was not described", id)
	case len(row) != relation.columns:
		return fmt.Errorf("a row of %d columns in a table of %d", len(row), relation.columns)
	}
	relation.tell(d, kind, row)
	return nil
}

const (
	maxPayload = 7999 // bytes, as of a notification; a longer one is left out
	maxEvents  = 1000 // of one transaction, whose payloads differ; the others have none
)

// tell keeps an event until its transaction ends. Equal ones of a transaction are
// one event, as with NOTIFY.
func (d *decoder) tell(e Event) {
	if len(d.events) >= maxEvents {
		e.Payload = ""
	}
	if _, again := d.equal[e]; again {
		return
	}
	d.equal[e] = struct{}{}
	d.events = append(d.events, e)
}

// take returns what there is to tell, once, and whether there is something; nothing
// while a transaction is open.
func (d *decoder) take() (told, bool) {
	if d.open {
		return told{}, false
	}
	t := told{xid: d.xid, events: d.events}
	d.xid, d.events = 0, nil
	clear(d.equal)
	return t, len(t.events) > 0
}
