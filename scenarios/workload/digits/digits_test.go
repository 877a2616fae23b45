package digits

import (
	"strings"
	"testing"
)

func TestLoadSplitsEveryImageOnce(t *testing.T) {
	set, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	if got := [3]int{len(set.Train), len(set.Valid), len(set.Test)}; got != [3]int{1078, 359, 360} {
		t.Fatalf("parts hold %v images", got)
	}
	for name, part := range map[string][]Image{"train": set.Train, "valid": set.Valid, "test": set.Test} {
		var seen [Classes]int
		for _, img := range part {
			seen[img.Label]++
		}
		for label, n := range seen {
			if n < len(part)/20 {
				t.Errorf("%s: only %d of %d images show %d", name, n, len(part), label)
			}
		}
	}
}

// The split must stay the same for ever: evaluations of different model
// versions are compared with each other.
func TestSplitIsPinned(t *testing.T) {
	set, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, img := range set.Test[:20] {
		got.WriteByte('0' + byte(img.Label))
	}
	if want := "94125281668664684651"; got.String() != want {
		t.Errorf("the test part begins with labels %s, want %s", got.String(), want)
	}
}

func TestParseRefuses(t *testing.T) {
	good := strings.Repeat("3,", Pixels) + "7\n"
	for name, text := range map[string]string{
		"too few values": "1,2,3\n",
		"pixel too big":  strings.Replace(good, "3", "17", 1),
		"negative":       strings.Replace(good, "3", "-1", 1),
		"no number":      strings.Replace(good, "3", "x", 1),
		"label too big":  strings.Repeat("3,", Pixels) + "10\n",
	} {
		if _, err := parse(strings.NewReader(text)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if images, err := parse(strings.NewReader(good)); err != nil || len(images) != 1 || images[0].Label != 7 {
		t.Errorf("good line: %v, %v", images, err)
	}
}

func TestShift(t *testing.T) {
	var img Image
	img.Label = 4
	img.Pixels[0] = 9         // top left
	img.Pixels[Side*3+5] = 12 // row 3, column 5
	got := Shift(img, 1, -1)
	if got.Label != 4 || got.Pixels[Side*2+6] != 12 {
		t.Errorf("pixel did not move right and up: %v", got.Pixels)
	}
	total := 0.0
	for _, p := range got.Pixels {
		total += p
	}
	if total != 12 {
		t.Errorf("the pixel that left the image is still there: sum %v", total)
	}
}
