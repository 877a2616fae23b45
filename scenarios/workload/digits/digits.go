package digits

import (
	"bufio"
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
)

const (
	// Side is the width and the height of an image in pixels.
	Side = 8
	// Pixels is the number of pixel values of an image, row by row.
	Pixels = Side * Side
	// Classes is the number of labels, 0 to 9.
	Classes = 10
	// PixelMax is the largest pixel value; the smallest is 0.
	PixelMax = 16
)

// splitSeed fixes which image falls into which part. Changing it makes the
// evaluations of older model versions incomparable with those of newer ones.
const splitSeed = 1797

//go:embed digits.csv.gz
var csvGzip []byte

// Image is one digit: Pixels values from 0 to PixelMax and its label.
type Image struct {
	Pixels [Pixels]float64
	Label  int
}

// Set is the data in its three parts: three fifths to learn from, one fifth to
// watch the training with, one fifth that only the final evaluation sees.
type Set struct {
	Train, Valid, Test []Image
}

// Load decodes the embedded images and cuts them into their parts.
func Load() (Set, error) {
	zr, err := gzip.NewReader(bytes.NewReader(csvGzip))
	if err != nil {
		return Set{}, fmt.Errorf("open embedded digits: %w", err)
	}
	images, err := parse(zr)
	if err != nil {
		return Set{}, fmt.Errorf("read embedded digits: %w", err)
	}
	return split(images), nil
}

func parse(r io.Reader) ([]Image, error) {
	var images []Image
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		fields := strings.Split(lines.Text(), ",")
		if len(fields) != Pixels+1 {
			return nil, fmt.Errorf("line %d: %d values, want %d", n, len(fields), Pixels+1)
		}
		var img Image
		for i, field := range fields {
			v, err := strconv.Atoi(field)
			limit := PixelMax
			if i == Pixels {
				limit = Classes - 1
			}
			if err != nil || v < 0 || v > limit {
				return nil, fmt.Errorf("line %d, value %d: %q is not a whole number from 0 to %d", n, i+1, field, limit)
			}
			if i == Pixels {
				img.Label = v
			} else {
				img.Pixels[i] = float64(v)
			}
		}
		images = append(images, img)
	}
	return images, lines.Err()
}

func split(images []Image) Set {
	rng := rand.New(rand.NewPCG(splitSeed, 0))
	mixed := make([]Image, len(images))
	for to, from := range rng.Perm(len(images)) {
		mixed[to] = images[from]
	}
	a, b := len(mixed)*3/5, len(mixed)*4/5
	return Set{Train: mixed[:a:a], Valid: mixed[a:b:b], Test: mixed[b:]}
}

// Scale writes the pixels of an image into x as values from 0 to 1, which is
// what the network learns on. x holds Pixels values.
func Scale(x []float64, pixels []float64) {
	for i, p := range pixels {
		x[i] = p / PixelMax
	}
}

// Shift moves an image by dx columns and dy rows; what enters from outside is
// background. A writer's digit is still that digit one pixel further, so
// shifted copies give the network more to learn from than the data set holds.
func Shift(img Image, dx, dy int) Image {
	out := Image{Label: img.Label}
	for y := range Side {
		for x := range Side {
			fromX, fromY := x-dx, y-dy
			if fromX >= 0 && fromX < Side && fromY >= 0 && fromY < Side {
				out.Pixels[y*Side+x] = img.Pixels[fromY*Side+fromX]
			}
		}
	}
	return out
}
