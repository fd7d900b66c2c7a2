package critical

import "time"

// Pause sets the first pause between two attempts. It is called before the first report.
func (r *Reporter) Pause(d time.Duration) { r.sends.pause = d }
