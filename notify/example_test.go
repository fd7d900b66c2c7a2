package notify_test

import (
	"fmt"

	"github.com/bbmd-dev/bbmd/notify"
)

// However many events arrive, one scan finds out what they were about.
func ExampleFlag() {
	flag := notify.NewFlag()
	deliver := func(notify.Event) { flag.Set() }

	deliver(notify.Event{}) // the resync of a new connection
	deliver(notify.Event{Channel: notify.ChannelNew})
	deliver(notify.Event{Channel: notify.ChannelStatus, Payload: "7"})

	for scans := 1; ; scans++ {
		select {
		case <-flag.Wait():
			fmt.Println("scan", scans)
		default:
			fmt.Println("clean")
			return
		}
	}
	// Output:
	// scan 1
	// clean
}
