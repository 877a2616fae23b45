//go:build cgo

package nvml

import "time"

// Patience sets how long a Read waits for a device before it calls it hung:
// nobody but a test has a reason to wait for less.
func Patience(d time.Duration) Option { return func(r *Reader) { r.patience = d } }
