package serve

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	"stoker/scenarios/workload/digits"
)

// The names of the model's tensors.
const (
	inputName  = "image"
	labelName  = "label"
	scoresName = "scores"
)

type tensorMetadata struct {
	Name     string `json:"name"`
	Datatype string `json:"datatype"`
	Shape    []int  `json:"shape"`
}

type inferRequest struct {
	ID      string        `json:"id"`
	Inputs  []inputTensor `json:"inputs"`
	Outputs []struct {
		Name string `json:"name"`
	} `json:"outputs"`
}

type inputTensor struct {
	Name     string          `json:"name"`
	Datatype string          `json:"datatype"`
	Shape    []int           `json:"shape"`
	Data     json.RawMessage `json:"data"`
}

type inferResponse struct {
	ModelName    string         `json:"model_name"`
	ModelVersion string         `json:"model_version"`
	ID           string         `json:"id,omitempty"`
	Outputs      []outputTensor `json:"outputs"`
}

type outputTensor struct {
	Name     string `json:"name"`
	Datatype string `json:"datatype"`
	Shape    []int  `json:"shape"`
	Data     any    `json:"data"` // row-major, flat
}

func readRequest(w http.ResponseWriter, r *http.Request) (inferRequest, *problem) {
	var req inferRequest
	if r.Header.Get("Inference-Header-Content-Length") != "" {
		return req, refuse(http.StatusBadRequest, "binary tensors are not understood, send the data as JSON").because("malformed")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return req, refuse(http.StatusRequestEntityTooLarge, "the request is larger than %d bytes, send fewer images at a time", maxBody).because("too_large")
	case err != nil:
		return req, refuse(http.StatusBadRequest, "the request broke off: %v", err).because("malformed")
	}
	if err := json.Unmarshal(body, &req); err != nil {
		return req, refuse(http.StatusBadRequest, "the request is no inference request in JSON: %v", err).because("malformed")
	}
	return req, nil
}

// wanted lists the outputs to send: all, unless the request names some.
func (req inferRequest) wanted() ([]string, *problem) {
	all := []string{labelName, scoresName}
	if len(req.Outputs) == 0 {
		return all, nil
	}
	var names []string
	for _, o := range req.Outputs {
		if !slices.Contains(all, o.Name) || slices.Contains(names, o.Name) {
			return nil, refuse(http.StatusBadRequest, "output %q is unknown or asked for twice, the model gives %q and %q", o.Name, labelName, scoresName).because("unknown_tensor")
		}
		names = append(names, o.Name)
	}
	return names, nil
}

// images checks the input tensor and returns its images, scaled.
func (m *served) images(req inferRequest) ([][]float64, *problem) {
	if len(req.Inputs) != 1 || req.Inputs[0].Name != inputName {
		return nil, refuse(http.StatusBadRequest, "want exactly one input tensor, named %q", inputName).because("unknown_tensor")
	}
	in := req.Inputs[0]
	if in.Datatype != "FP32" {
		return nil, refuse(http.StatusBadRequest, "input %q has datatype %q, want FP32", inputName, in.Datatype).because("bad_type")
	}
	if !shapeFits(in.Shape) {
		return nil, refuse(http.StatusBadRequest, "input %q has shape %v, want [N,%d] or [N,%d,%d]", inputName, in.Shape, digits.Pixels, digits.Side, digits.Side).because("bad_shape")
	}
	values, err := flatten(in.Data, in.Shape)
	if err != nil {
		return nil, refuse(http.StatusBadRequest, "data of input %q: %v", inputName, err).because("bad_shape")
	}
	for i, v := range values {
		if v < m.min || v > m.max {
			return nil, refuse(http.StatusBadRequest, "image %d, pixel %d is %v, outside of %v to %v that the model was trained on: scale the pixels to that range",
				i/digits.Pixels, i%digits.Pixels, v, m.min, m.max).because("out_of_range")
		}
	}
	images := make([][]float64, in.Shape[0])
	for i := range images {
		images[i] = values[i*digits.Pixels : (i+1)*digits.Pixels]
		digits.Scale(images[i], images[i])
	}
	return images, nil
}

// shapeFits bounds the number of images by what a request can hold, before
// anything is multiplied or reserved.
func shapeFits(shape []int) bool {
	if len(shape) < 2 || shape[0] < 1 || shape[0] > maxBody {
		return false
	}
	return slices.Equal(shape[1:], []int{digits.Pixels}) || slices.Equal(shape[1:], []int{digits.Side, digits.Side})
}

// flatten reads tensor data, flat or nested as the shape says, in row-major
// order. The protocol allows both.
func flatten(data json.RawMessage, shape []int) ([]float64, error) {
	count := 1
	for _, n := range shape {
		count *= n
	}
	inner, list := bytes.CutPrefix(bytes.TrimSpace(data), []byte("["))
	if list && bytes.HasPrefix(bytes.TrimSpace(inner), []byte("[")) {
		return nested(data, shape, nil)
	}
	values, err := numbers(data)
	if err != nil {
		return nil, err
	}
	if len(values) != count {
		return nil, fmt.Errorf("%d values, the shape %v has %d", len(values), shape, count)
	}
	return values, nil
}

func nested(data json.RawMessage, shape []int, into []float64) ([]float64, error) {
	if len(shape) == 1 {
		row, err := numbers(data)
		if err != nil {
			return nil, err
		}
		if len(row) != shape[0] {
			return nil, fmt.Errorf("a row has %d values, want %d", len(row), shape[0])
		}
		return append(into, row...), nil
	}
	var rows []json.RawMessage
	if err := json.Unmarshal(data, &rows); err != nil {
		return nil, errors.New("not a list of numbers, nor lists nested as the shape says")
	}
	if len(rows) != shape[0] {
		return nil, fmt.Errorf("%d rows, want %d", len(rows), shape[0])
	}
	for _, row := range rows {
		var err error
		if into, err = nested(row, shape[1:], into); err != nil {
			return nil, err
		}
	}
	return into, nil
}

// numbers reads a list of numbers. Through pointers, since null would pass
// for 0 otherwise.
func numbers(data json.RawMessage) ([]float64, error) {
	var list []*float64
	if err := json.Unmarshal(data, &list); err != nil || list == nil {
		return nil, errors.New("not a list of numbers")
	}
	values := make([]float64, len(list))
	for i, v := range list {
		if v == nil {
			return nil, fmt.Errorf("value %d is null", i)
		}
		values[i] = *v
	}
	return values, nil
}
