// Package digits holds the real images that the reference model learns from
// and is tested with: 1,797 handwritten digits of 8 x 8 pixels (see NOTICE for
// the authors and the licence), embedded in the program so that it needs no
// network and no file beside it.
//
// Load cuts them into a training, a validation and a test part. The cut is the
// same in every program and does not depend on the seed of a training run, so
// that two model versions are measured on the same images and the images that
// a load generator sends were never trained on.
//
// All values are plain data. Nothing here keeps state; use from several
// goroutines is safe as long as nobody changes a Set.
package digits
