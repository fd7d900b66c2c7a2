package process_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"github.com/bbmd-dev/bbmd/plugins/process/protocol"
)

// ahead is a program that leaves its statement to bbmd, and does what act says when it gets
// the batch that begins with a key, for the first time.
func ahead(act, start string) int {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		message, err := protocol.DecodeHost(lines.Bytes())
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 4
		}
		switch m := message.(type) {
		case protocol.Init:
			hello()
		case protocol.Shutdown:
			return 0
		case protocol.OK:
			speak(`{"type":"done","id":%d,"affected":%d,"statements":[]}`, m.ID, m.Affected)
		case protocol.Cancel:
			speak(`{"type":"fail","id":%d,"message":"cancelled"}`, m.ID)
		case protocol.Batch:
			statement, args := fmt.Sprintf("UPDATE %s SET n = n + 1 WHERE %s", m.Table, m.Where), quotedArgs(m.Args)
			switch {
			case m.Start != start || m.Attempt != 1:
				speak(`{"type":"done","id":%d,"affected":null,"statements":[{"sql":%q,"args":%s}]}`, m.ID, statement, args)
			case act == "asks":
				speak(`{"type":"exec","id":%d,"seq":1,"sql":%q,"args":%s}`, m.ID, statement, args)
			default:
				acts[act](m.ID, nil)
			}
		}
	}
	return 0
}

func quotedArgs(args []string) []byte {
	raw, err := json.Marshal(args)
	if err != nil {
		quit(5)
	}
	return raw
}
