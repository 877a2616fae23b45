//go:build cgo

package nvml

// Calls counts the calls made to the driver since the library was opened. No
// Read may be under way.
func (r *Reader) Calls() int {
	n := 0
	for _, s := range r.session.slots {
		n += s.probe.calls
	}
	return n
}
