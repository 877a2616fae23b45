package stream

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"reflect"
	"sync"

	"github.com/goccy/go-json"

	"stoker/gpu"
)

// MaxLine is the longest line that a Decoder takes, in bytes: room for some
// thousand devices and processes, and a bound on what a wrong server can cost.
const MaxLine = 4 << 20

// What a Decoder may find instead of a stream.
var (
	ErrNotStream   = errors.New("not a stoker gpu stream")
	ErrVersion     = errors.New("gpu stream version not understood")
	ErrLineTooLong = errors.New("gpu stream line too long")
)

// buffer is what stays with an idle Decoder. A terminal may hold a thousand
// streams; what a line needs beside is borrowed while it is read.
const buffer = 1 << 10

// Lines lends what a line needs while it is read and decoded to any number of
// Decoders. The zero Lines is ready to use.
type Lines struct{ pool, scratch sync.Pool }

// mostLent is the largest buffer that is kept: that of a keyframe may go.
const mostLent = 32 << 10

func (l *Lines) lend() []byte {
	if b, ok := l.pool.Get().(*[]byte); ok {
		return (*b)[:0]
	}
	return make([]byte, 0, 8*buffer)
}

func (l *Lines) back(b []byte) {
	if cap(b) <= mostLent {
		l.pool.Put(&b)
	}
}

// scratch is what frames are decoded into. Its lists keep the room that they have
// grown to, which is more than a frame needs that somebody keeps, and its samples
// the numbers that they point to.
type scratch struct {
	wire frameWire
	lent []numbers // by sample
}

func (l *Lines) borrow() *scratch {
	s, ok := l.scratch.Get().(*scratch)
	if !ok {
		return &scratch{}
	}
	samples := s.wire.Samples[:cap(s.wire.Samples)]
	for len(s.lent) < len(samples) {
		s.lent = append(s.lent, numbers{})
	}
	for i := range samples {
		s.lent[i].lendTo(&samples[i])
	}
	return s
}

// giveBack takes s with nothing left in it of the frame before.
func (l *Lines) giveBack(s *scratch) {
	samples := s.wire.Samples[:cap(s.wire.Samples)]
	for i := range samples {
		p := samples[i].Processes[:cap(samples[i].Processes)]
		clear(p)
		samples[i] = gpu.Sample{Processes: p[:0]}
	}
	s.wire = frameWire{Samples: samples[:0]}
	l.scratch.Put(s)
}

// Decoder reads one stream.
type Decoder struct {
	r      *bufio.Reader
	lines  *Lines
	line   []byte // borrowed from lines; nil while nothing is read
	header Header
	last   []gpu.Sample // of the last frame that had any
}

// NewDecoder reads the header, which blocks until the peer sent it. Lines may be
// shared with other Decoders. An unknown
// version is ErrVersion; anything but a header is ErrNotStream.
func NewDecoder(r io.Reader, lines *Lines) (*Decoder, error) {
	d := &Decoder{r: bufio.NewReaderSize(r, buffer), lines: lines}
	raw, err := d.readLine()
	if err != nil {
		return nil, fmt.Errorf("read gpu stream header: %w", err)
	}
	if err := json.Unmarshal(raw, &d.header); err != nil || d.header.Protocol != Protocol {
		return nil, fmt.Errorf("%w: is there something else than a stoker agent at this address?", ErrNotStream)
	}
	if d.header.Version != Version {
		return nil, fmt.Errorf("%w: the agent speaks %d, this stoker %d: update the older one",
			ErrVersion, d.header.Version, Version)
	}
	return d, nil
}

// Header returns the header.
func (d *Decoder) Header() Header { return d.header }

// Next returns the next frame of a known kind, or the error that ended the
// stream: io.EOF when it ended between two lines. A frame is never changed:
// it shares with others what is the same in them.
func (d *Decoder) Next() (Frame, error) {
	for {
		raw, err := d.readLine()
		if err != nil {
			return Frame{}, err
		}
		if len(raw) == 0 {
			continue
		}
		s := d.lines.borrow()
		f, known, err := s.frame(raw, d.last)
		d.lines.giveBack(s)
		if err != nil {
			return Frame{}, err
		}
		if f.Batch != nil {
			d.last = f.Batch.Samples
		} else if f.Samples != nil {
			d.last = f.Samples
		}
		if known {
			return f, nil
		}
	}
}

// frame decodes a line; its samples may share what is the same in those before.
func (s *scratch) frame(raw []byte, before []gpu.Sample) (Frame, bool, error) {
	w := &s.wire
	if err := json.Unmarshal(raw, w); err != nil {
		// A kind from a later version may give a known field another type.
		var k struct{ Kind Kind }
		if json.Unmarshal(raw, &k) == nil && k.Kind != "" && !k.Kind.known() {
			return Frame{}, false, nil
		}
		return Frame{}, false, fmt.Errorf("decode gpu stream frame: %w", err)
	}
	if !w.Kind.known() || (w.Kind == KindKey && w.Batch == nil) {
		return Frame{}, false, nil
	}
	if w.Batch != nil {
		w.Batch.Samples = own(w.Batch.Samples, before)
	}
	f := Frame{
		Kind: w.Kind, Seq: w.Seq, At: w.At, Samples: own(w.Samples, before), Batch: w.Batch, SameDetail: w.Same, Events: w.Events, Sampler: w.Sampler,
	}
	return f, true, nil
}

func (k Kind) known() bool { return k == KindKey || k == KindDelta || k == KindBeat }

// readLine returns the next line without its newline; it is valid until the
// next call. A line that the end of the stream cut is io.ErrUnexpectedEOF.
func (d *Decoder) readLine() ([]byte, error) {
	if d.line != nil {
		d.lines.back(d.line)
		d.line = nil
	}
	for {
		part, err := d.r.ReadSlice('\n')
		if len(d.line)+len(part) > MaxLine {
			return nil, fmt.Errorf("%w: over %d bytes", ErrLineTooLong, MaxLine)
		}
		if err == nil && len(d.line) == 0 {
			return trim(part), nil // the usual case: no copy
		}
		if d.line == nil {
			d.line = d.lines.lend()
		}
		d.line = append(d.line, part...)
		switch {
		case err == nil:
			return trim(d.line), nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(d.line) > 0:
			return nil, io.ErrUnexpectedEOF
		default:
			return nil, err
		}
	}
}

func trim(b []byte) []byte {
	b = b[:len(b)-1]
	if n := len(b); n > 0 && b[n-1] == '\r' {
		b = b[:n-1]
	}
	return b
}

// Folder turns frames into whole batches. The zero Folder waits for a keyframe.
type Folder struct {
	last  gpu.Batch // without events: they are told once
	seq   uint64
	ready bool
}

// Fold applies one frame and returns the batch as it is now, with only the
// events that the frame brought. It returns false for a beat, for a delta that
// was seen already, and while it waits for a keyframe. Earlier batches are
// never changed, though they share devices with later ones.
func (f *Folder) Fold(fr Frame) (gpu.Batch, bool) {
	switch fr.Kind {
	case KindKey:
		return f.foldKey(fr)
	case KindDelta:
		return f.foldDelta(fr)
	}
	return gpu.Batch{}, false
}

func (f *Folder) foldKey(fr Frame) (gpu.Batch, bool) {
	if fr.Batch == nil {
		return gpu.Batch{}, false
	}
	out := *fr.Batch
	if reflect.DeepEqual(out.Devices, f.last.Devices) {
		out.Devices = f.last.Devices // who compares may see that they are the same
	}
	if len(out.Samples) == len(f.last.Samples) {
		for i := range out.Samples {
			share(&out.Samples[i], &f.last.Samples[i])
		}
	}
	f.last, f.seq, f.ready = out, fr.Seq, true
	f.last.Events = nil
	return out, true
}

// share lets a sample have the texts of the one before where they are the same: the
// same few words come each second, from each of a thousand agents.
func share(now, was *gpu.Sample) {
	again := func(text *string, old string) {
		if *text == old {
			*text = old
		}
	}
	if now.UUID == was.UUID {
		now.UUID = was.UUID
	}
	again((*string)(&now.Health.Verdict), string(was.Health.Verdict))
	again(&now.Health.Reason, was.Health.Reason)
	for i := range min(len(now.Processes), len(was.Processes)) {
		p, old := &now.Processes[i], &was.Processes[i]
		again(&p.Name, old.Name)
		again(&p.Command, old.Command)
		again(&p.User, old.User)
		again(&p.Type, old.Type)
		again(&p.AllocID, old.AllocID)
		again(&p.Task, old.Task)
	}
}

func (f *Folder) foldDelta(fr Frame) (gpu.Batch, bool) {
	if !f.ready || fr.Seq <= f.seq {
		return gpu.Batch{}, false
	}
	if fr.Seq != f.seq+1 {
		f.ready = false // something is missing: only a keyframe can be trusted now
		return gpu.Batch{}, false
	}
	out := f.last
	out.At, out.Events = fr.At, fr.Events
	out.Samples = fr.Samples // which is all of them as a rule; it is the frame's own memory
	if len(fr.Samples) != len(f.last.Samples) {
		out.Samples = make([]gpu.Sample, len(f.last.Samples))
	}
	next := 0
	for i, was := range f.last.Samples {
		// The agent keeps the order, so one pass is enough.
		if next < len(fr.Samples) && fr.Samples[next].UUID == was.UUID {
			out.Samples[i] = fr.Samples[next]
			share(&out.Samples[i], &was)
			if fr.SameDetail {
				out.Samples[i].Detail = was.Detail
			}
			next++
			continue
		}
		was.At = timeLeftOut(f.last.At, was.At, fr.At)
		out.Samples[i] = was
	}
	if next != len(fr.Samples) {
		f.ready = false // a device that the keyframe did not have
		return gpu.Batch{}, false
	}
	f.last, f.seq = out, fr.Seq
	f.last.Events = nil
	return out, true
}
