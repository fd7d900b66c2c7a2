package daemon

import (
	"io"
	"time"

	"github.com/bbmd-dev/bbmd/internal/status"
)

// noView shows nothing to nobody.
type noView struct{}

var _ status.View = noView{}

func (noView) Show(time.Time, []Progress) (time.Duration, error) { return 0, nil }
func (noView) Write(text []byte) (int, error)                    { return io.Discard.Write(text) }
func (noView) Close()                                            {}
