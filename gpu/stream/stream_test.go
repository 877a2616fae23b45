package stream

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"stoker/gpu"
)

func ptr[T any](v T) *T { return &v }

// fullBatch has every field set that a busy node sets.
func fullBatch(gpus int, at time.Time) gpu.Batch {
	b := gpu.Batch{Node: "n1", Source: "nvml", At: at, Driver: "570.1", CUDA: "12.8"}
	for i := range gpus {
		id := gpu.UUID(fmt.Sprintf("GPU-11111111-2222-3333-4444-%012d", i))
		b.Devices = append(b.Devices, gpu.Device{
			UUID: id, Index: i, Model: "NVIDIA H100 80GB HBM3", PCI: fmt.Sprintf("0000:%02x:00.0", i+16),
			MemoryBytes: 85520809984, PowerLimitWatts: ptr(700.0), MaxSMClockMHz: ptr(1980.0),
		})
		b.Samples = append(b.Samples, gpu.Sample{
			UUID: id, At: at,
			UtilPercent: ptr(93.0), MemoryUtilPercent: ptr(41.0), MemoryUsedBytes: ptr(uint64(73014444032)),
			PowerWatts: ptr(612.348), PowerLimitWatts: ptr(700.0), EnergyJoules: ptr(81234567.123),
			TempCelsius: ptr(63.0), SMClockMHz: ptr(1755.0), MemClockMHz: ptr(2619.0), PState: ptr(0),
			EncoderPercent: ptr(0.0), DecoderPercent: ptr(0.0),
			PCIeTxBytesPerSec: ptr(1.25e9), PCIeRxBytesPerSec: ptr(2.5e8),
			ECCCorrected: ptr(uint64(3)), ECCUncorrected: ptr(uint64(0)),
			RowRemapPending: ptr(false), RowRemapFailure: ptr(false), Throttle: []string{},
			Health: gpu.Health{Verdict: gpu.VerdictOK, Since: at.Add(-time.Hour)},
			Processes: []gpu.Process{{
				PID: 4000 + i, Name: "python3", User: "ml", MemoryBytes: 73014444032,
				AllocID: "8a1f0c3e-0000-4000-8000-00000000000a", Task: "serve",
			}},
		})
	}
	return b
}

// detailed adds what only a reader of one GPU looks at, for some devices.
func detailed(b gpu.Batch) gpu.Batch {
	b.Lacks = []string{"nvmlGpmQueryDeviceSupport"}
	for i := range b.Samples {
		if i%2 != 0 {
			continue
		}
		b.Devices[i].BAR1Bytes, b.Devices[i].ECC, b.Devices[i].MIGProfiles = ptr(uint64(128<<30)), ptr(true), []gpu.MIGProfile{{Name: "3g.40gb", Most: 2, Free: 1}}
		b.Samples[i].Detail = &gpu.Detail{
			MemoryFreeBytes: ptr(uint64(1 << 30)), MemTempCelsius: ptr(71.0), PCIeGen: ptr(5), ThrottleSeconds: map[string]float64{"sw_power_cap": 1.5},
			ECCCorrectedTotal: ptr(uint64(1)), PagesPending: ptr(false),
			NVLinks: []gpu.NVLink{{Link: 0, Up: true, SpeedMBPerSec: ptr(26562.0), CRCErrors: ptr(uint64(0))}, {Link: 1}},
			GPM:     &gpu.GPM{SMPercent: ptr(81.5), TensorPercent: ptr(0.0)},
		}
	}
	return b
}

func clone(b gpu.Batch) gpu.Batch {
	b.Samples = append([]gpu.Sample(nil), b.Samples...)
	return b
}

func encode(t testing.TB, frames ...Frame) *bytes.Buffer {
	t.Helper()
	var buf bytes.Buffer
	h, err := MarshalHeader(Header{Node: "n1", NodeName: "gpu-1", IntervalMS: 1000})
	if err != nil {
		t.Fatal(err)
	}
	buf.Write(h)
	for _, f := range frames {
		l, err := MarshalFrame(f)
		if err != nil {
			t.Fatal(err)
		}
		buf.Write(l)
	}
	return &buf
}

func TestRoundTrip(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)
	first := detailed(fullBatch(3, at))
	first.Events = []gpu.Event{{UUID: first.Devices[1].UUID, At: at, Kind: gpu.EventXid, Xid: 79}}

	second := clone(first)
	second.Events = nil
	second.At = at.Add(time.Second)
	for i := range second.Samples {
		second.Samples[i].At = second.At
	}
	second.Samples[1].UtilPercent = ptr(12.0)

	third := clone(second) // device 2 is frozen: its reading does not move
	third.At = at.Add(2 * time.Second)
	third.Samples[0].At, third.Samples[1].At = third.At, third.At

	fourth := clone(third) // and stays so, while device 0 moves with nothing changed
	fourth.At = at.Add(3 * time.Second)
	fourth.Samples[0].At, fourth.Samples[1].At = fourth.At, fourth.At
	fourth.Samples[1].Throttle = nil

	batches := []gpu.Batch{first, second, third, fourth}
	frames := []Frame{Key(7, first)}
	for i := 1; i < len(batches); i++ {
		f, ok := Delta(uint64(7+i), batches[i-1], batches[i])
		if !ok {
			t.Fatalf("delta %d refused", i)
		}
		frames = append(frames, f)
	}
	if got := []int{len(frames[1].Samples), len(frames[2].Samples), len(frames[3].Samples)}; !cmp.Equal(got, []int{1, 1, 1}) {
		t.Errorf("samples in the deltas: %v, want one each", got)
	}

	dec, err := NewDecoder(encode(t, frames...), new(Lines))
	if err != nil {
		t.Fatal(err)
	}
	want := Header{Protocol: Protocol, Version: Version, Node: "n1", NodeName: "gpu-1", IntervalMS: 1000}
	if d := cmp.Diff(want, dec.Header()); d != "" {
		t.Error(d)
	}
	var folder Folder
	for i, want := range batches {
		f, err := dec.Next()
		if err != nil {
			t.Fatal(err)
		}
		got, ok := folder.Fold(f)
		if !ok {
			t.Fatalf("frame %d was not folded", i)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("batch %d (-want +got):\n%s", i, d)
		}
	}
	if _, err := dec.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("end of stream: %v", err)
	}
}

// What a frame is decoded into is used again, and the frame shares with the one
// before only what is the same.
func TestFramesAreNeverChanged(t *testing.T) {
	first := fullBatch(3, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	second, third := busier(first), busier(busier(first))
	second.Samples[1].Processes = []gpu.Process{{PID: 7, Name: "first"}, {PID: 8, Name: "second"}}
	second.Samples[2].Throttle = []string{"sw_power_cap"}
	third.Samples[1].Processes = []gpu.Process{{PID: 9, MemoryBytes: 1}}
	third.Samples[0].UtilPercent, third.Samples[2].Throttle = nil, nil
	delta := func(seq uint64, from, to gpu.Batch) Frame {
		f, ok := Delta(seq, from, to)
		if !ok {
			t.Fatal("no delta")
		}
		return f
	}
	frames := []Frame{Key(1, first), delta(2, first, second), delta(3, second, third)}
	dec, err := NewDecoder(encode(t, frames...), new(Lines))
	if err != nil {
		t.Fatal(err)
	}
	var got []Frame
	for range frames {
		f, err := dec.Next()
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, f)
	}
	if d := cmp.Diff(frames, got); d != "" {
		t.Error(d)
	}
	if is, was := got[1].Samples[0].Processes, got[0].Batch.Samples[0].Processes; len(is) == 0 || &is[0] != &was[0] {
		t.Error("processes that are the same are in memory twice")
	}
}

// Details are sent now and then, and a reader keeps those that it has.
func TestDetailsAreSentNowAndThen(t *testing.T) {
	at := time.Unix(1000, 0).UTC()
	batch := func(n int, util float64, free uint64) gpu.Batch {
		b := fullBatch(2, at.Add(time.Duration(n)*time.Second))
		for i := range b.Samples {
			b.Samples[i].UtilPercent, b.Samples[i].Detail = &util, &gpu.Detail{MemoryFreeBytes: &free}
		}
		return b
	}
	first, second, third := batch(0, 1, 100), batch(1, 2, 90), batch(2, 2, 80)
	vital, ok := Delta(2, first, second)
	if !ok || len(vital.Samples) != 2 || vital.Samples[0].Detail != nil {
		t.Fatalf("a delta with details: %+v", vital)
	}
	full, ok := FullDelta(3, second, third)
	if !ok || len(full.Samples) != 2 {
		t.Fatalf("a full delta leaves samples out: %+v", full)
	}
	dec, err := NewDecoder(encode(t, Key(1, first), vital, full), new(Lines))
	if err != nil {
		t.Fatal(err)
	}
	var folder Folder
	for i, want := range []struct {
		util float64
		free uint64
	}{{1, 100}, {2, 100}, {2, 80}} {
		f, err := dec.Next()
		if err != nil {
			t.Fatal(err)
		}
		b, ok := folder.Fold(f)
		if !ok {
			t.Fatalf("frame %d was not folded", i)
		}
		if s := b.Samples[1]; *s.UtilPercent != want.util || *s.Detail.MemoryFreeBytes != want.free {
			t.Errorf("frame %d: util %v, free %d, want %v", i, *s.UtilPercent, *s.Detail.MemoryFreeBytes, want)
		}
	}
	silent := batch(3, 2, 80)
	silent.Samples[0].Detail = nil // it was lost: what it was must not stay
	if _, ok := Delta(4, third, silent); ok {
		t.Error("a delta hides that a device has no details any more")
	}
}

func TestDeltaNeedsKeyframe(t *testing.T) {
	at := time.Unix(1000, 0)
	base := fullBatch(2, at)
	for name, change := range map[string]func(*gpu.Batch){
		"device lost":    func(b *gpu.Batch) { b.Devices, b.Samples = b.Devices[:1], b.Samples[:1] },
		"sample missing": func(b *gpu.Batch) { b.Samples = b.Samples[:1] },
		"order":          func(b *gpu.Batch) { b.Samples[0], b.Samples[1] = b.Samples[1], b.Samples[0] },
		"driver":         func(b *gpu.Batch) { b.Driver = "580" },
		"lacks":          func(b *gpu.Batch) { b.Lacks = []string{"nvmlDeviceGetFieldValues"} },
	} {
		t.Run(name, func(t *testing.T) {
			next := clone(base)
			change(&next)
			if _, ok := Delta(2, base, next); ok {
				t.Error("a delta was made")
			}
		})
	}
}

func TestFoldWaitsForKeyframe(t *testing.T) {
	at := time.Unix(1000, 0).UTC()
	a := fullBatch(2, at)
	b := clone(a)
	b.At = at.Add(time.Second)
	delta, _ := Delta(2, a, b)
	stranger := delta
	stranger.Samples = []gpu.Sample{{UUID: "GPU-x"}}
	gap := delta
	gap.Seq = 4

	for _, tc := range []struct {
		name   string
		frames []Frame
		want   []bool
	}{
		{"delta first", []Frame{delta, Key(2, a)}, []bool{false, true}},
		{"repeated delta", []Frame{Key(1, a), delta, delta}, []bool{true, true, false}},
		{"gap", []Frame{Key(1, a), gap, delta, Key(5, b)}, []bool{true, false, false, true}},
		{"unknown device", []Frame{Key(1, a), stranger, delta, Key(3, b)}, []bool{true, false, false, true}},
		{"beat between", []Frame{Key(1, a), {Kind: KindBeat}, delta}, []bool{true, false, true}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var f Folder
			var got []bool
			for _, fr := range tc.frames {
				_, ok := f.Fold(fr)
				got = append(got, ok)
			}
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

const goodHeader = `{"stoker":"gpu-stream","version":1,"node":"n1","node_name":"a","later":{"x":1}}` + "\n"

func TestDecoderTolerates(t *testing.T) {
	in := goodHeader +
		`{"kind":"weather","seq":"not a number"}` + "\n\r\n\n" +
		`{"kind":"key","seq":1}` + "\n" + // a keyframe without a batch is none
		`{"kind":"key","seq":1,"at":"2026-01-01T00:00:00Z","new":true,"batch":{"node":"n1","source":"nvml","at":"2026-01-01T00:00:00Z","samples":[{"uuid":"GPU-1","at":"2026-01-01T00:00:00Z","health":{"verdict":"excellent"},"vibe":3}]}}` + "\n"
	dec, err := NewDecoder(strings.NewReader(in), new(Lines))
	if err != nil {
		t.Fatal(err)
	}
	f, err := dec.Next()
	if err != nil {
		t.Fatal(err)
	}
	if f.Kind != KindKey || f.Batch.Samples[0].Health.Verdict != "excellent" || f.Batch.Samples[0].Throttle != nil {
		t.Errorf("got %+v", f)
	}
}

func TestDecoderRefuses(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		want     error
	}{
		{"html", "<html>\n", ErrNotStream},
		{"other json", `{"stoker":"logs","version":1}` + "\n", ErrNotStream},
		{"newer", `{"stoker":"gpu-stream","version":2}` + "\n", ErrVersion},
		{"empty", "", io.EOF},
		{"cut header", `{"stoker"`, io.ErrUnexpectedEOF},
		{"cut frame", goodHeader + `{"kind":"ke`, io.ErrUnexpectedEOF},
		{"endless line", goodHeader + strings.Repeat("x", MaxLine+1), ErrLineTooLong},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dec, err := NewDecoder(strings.NewReader(tc.in), new(Lines))
			if err == nil {
				_, err = dec.Next()
			}
			if !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
	dec, err := NewDecoder(strings.NewReader(goodHeader+`{"kind":"key","batch":7}`+"\n"), new(Lines))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dec.Next(); err == nil {
		t.Error("a broken keyframe was taken")
	}
}

// FuzzDecoder holds that no input makes the reader panic, loop or remember
// more than a line, and that whatever it accepts and folds can be sent on and
// reads the same at the next reader.
func FuzzDecoder(f *testing.F) {
	at := time.Unix(1000, 0).UTC()
	a := detailed(fullBatch(2, at))
	a.Events = []gpu.Event{{UUID: a.Devices[1].UUID, At: at, Kind: gpu.EventXid, Xid: 79}}
	b := clone(a)
	b.At = at.Add(time.Second)
	delta, _ := Delta(2, a, b)
	moved, _ := Delta(2, a, busier(a))
	beat := Frame{Kind: KindBeat, At: at, Sampler: &SamplerState{State: SamplerLate, Since: at, Err: "x"}}
	f.Add(encode(f, Key(1, a), delta, beat).Bytes())
	f.Add(encode(f, Key(1, a), moved, Key(3, b)).Bytes())
	f.Add([]byte(goodHeader + `{"kind":"delta","seq":18446744073709551615,"samples":[{}]}` + "\n"))
	f.Add([]byte(goodHeader + `{"kind":"key","batch":{"devices":null,"samples":null}}` + "\n"))
	f.Add([]byte(goodHeader + `{"kind":"key","batch":{"samples":[{"detail":{"nvlinks":[{"link":-1}],"throttle_seconds":{"":1e308}}}]}}` + "\n"))
	f.Add([]byte(goodHeader + "null\n[]\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		dec, err := NewDecoder(bytes.NewReader(in), new(Lines))
		if err != nil {
			return
		}
		if i := dec.Header().Interval(); i < 0 || i > time.Hour {
			t.Fatalf("interval %v", i)
		}
		var folder Folder
		for {
			fr, err := dec.Next()
			if err != nil {
				return
			}
			if _, err := MarshalFrame(fr); err != nil && !strings.Contains(err.Error(), "year") {
				t.Fatalf("accepted, but cannot be encoded: %v", err)
			}
			if cap(dec.line) > 2*MaxLine {
				t.Fatalf("a line buffer of %d bytes", cap(dec.line))
			}
			if b, ok := folder.Fold(fr); ok {
				sentOn(t, fr.Seq, b)
			}
		}
	})
}

// sentOn holds that a batch survives being sent on: what it says after is what
// it says when it is sent on once more.
func sentOn(t *testing.T, seq uint64, b gpu.Batch) {
	t.Helper()
	again := func(b gpu.Batch) (gpu.Batch, []byte, bool) {
		l, err := MarshalFrame(Key(seq, b))
		if err != nil {
			if !strings.Contains(err.Error(), "year") {
				t.Fatalf("folded, but cannot be encoded: %v", err)
			}
			return gpu.Batch{}, nil, false
		}
		f, known, err := new(scratch).frame(l, nil)
		if err != nil || !known || f.Seq != seq {
			t.Fatalf("sent on, but not understood: %v, %v\n%s", known, err, l)
		}
		return *f.Batch, l, true
	}
	first, l1, ok := again(b)
	if !ok {
		return
	}
	if _, l2, ok := again(first); !ok || !bytes.Equal(l1, l2) {
		t.Fatalf("sent on twice, it says something else:\n%s\n%s", l1, l2)
	}
}

func BenchmarkKeyEncode8(b *testing.B) {
	f := Key(1, fullBatch(8, time.Now()))
	b.ReportAllocs()
	for b.Loop() {
		l, err := MarshalFrame(f)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(l)))
	}
}

// BenchmarkDeltaEncode8 is a node whose eight GPUs all changed.
func BenchmarkDeltaEncode8(b *testing.B) {
	was := fullBatch(8, time.Now())
	is := busier(was)
	b.ReportAllocs()
	for b.Loop() {
		f, _ := Delta(2, was, is)
		l, err := MarshalFrame(f)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(l)))
	}
}

func BenchmarkDeltaDecode8(b *testing.B) {
	was := fullBatch(8, time.Now())
	f, _ := Delta(2, was, busier(was))
	l, err := MarshalFrame(f)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(l)))
	b.ReportAllocs()
	var lines Lines
	for b.Loop() {
		folder := Folder{last: was, seq: 1, ready: true}
		s := lines.borrow()
		f, _, err := s.frame(l, was.Samples)
		lines.giveBack(s)
		if err != nil {
			b.Fatal(err)
		}
		if _, ok := folder.Fold(f); !ok {
			b.Fatal("not folded")
		}
	}
}

func busier(b gpu.Batch) gpu.Batch {
	b = clone(b)
	b.At = b.At.Add(time.Second)
	for i := range b.Samples {
		b.Samples[i].At = b.At
		b.Samples[i].PowerWatts = ptr(500 + float64(i))
	}
	return b
}
