package scenarios

import (
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

type junitSuite struct {
	XMLName    xml.Name        `xml:"testsuite"`
	Name       string          `xml:"name,attr"`
	Timestamp  string          `xml:"timestamp,attr"`
	Time       string          `xml:"time,attr"`
	Tests      int             `xml:"tests,attr"`
	Failures   int             `xml:"failures,attr"`
	Errors     int             `xml:"errors,attr"`
	Skipped    int             `xml:"skipped,attr"`
	Properties []junitProperty `xml:"properties>property"`
	Cases      []junitCase     `xml:"testcase"`
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	File    string        `xml:"file,attr,omitempty"`
	Line    int           `xml:"line,attr,omitempty"`
	Time    string        `xml:"time,attr"`
	Failure *junitProblem `xml:"failure,omitempty"`
	Error   *junitProblem `xml:"error,omitempty"`
	Skipped *struct{}     `xml:"skipped,omitempty"`
	Out     string        `xml:"system-out,omitempty"`
}

type junitProblem struct {
	Type    string `xml:"type,attr"`
	Message string `xml:"message,attr"`
}

// JUnit writes the report in the form that build servers read. A step is a
// test case; one that is inconclusive or was interrupted is an error, one that
// did not hold a failure, and the cleanup is a case of its own.
func (r *Report) JUnit(w io.Writer) error {
	s := junitSuite{
		Name: r.Scenario, Timestamp: r.Started.UTC().Format(time.RFC3339), Time: seconds(r.Seconds),
		Properties: []junitProperty{{"run_id", r.RunID}, {"cluster", r.Cluster}, {"verdict", string(r.Verdict)}},
	}
	for _, name := range slices.Sorted(maps.Keys(r.Vars)) {
		s.Properties = append(s.Properties, junitProperty{"var." + name, r.Vars[name]})
	}
	for i := range r.Steps {
		s.add(r, &r.Steps[i], "")
	}
	if r.Cleanup.Seconds > 0 || r.Cleanup.Verdict == Failed {
		s.add(r, &r.Cleanup, strings.Join(r.Left, "\n"))
	}
	if r.Verdict != Passed && s.Failures+s.Errors == 0 { // it ended before its first step
		s.add(r, &StepResult{Name: "start", Verdict: r.Verdict, Text: r.Text}, "")
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return fmt.Errorf("junit report: %w", err)
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(s); err != nil {
		return fmt.Errorf("junit report: %w", err)
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (s *junitSuite) add(r *Report, st *StepResult, more string) {
	c := junitCase{Class: r.Scenario, Name: st.Name, Time: seconds(st.Seconds), Out: strings.Join(st.details(), "\n")}
	if st.Line > 0 {
		c.File, c.Line = r.File, st.Line
	}
	if more != "" {
		c.Out = strings.TrimSpace(c.Out + "\n" + more)
	}
	s.Tests++
	switch problem := (&junitProblem{Type: string(st.Verdict), Message: st.Text}); st.Verdict {
	case Failed:
		s.Failures++
		c.Failure = problem
	case Inconclusive, Interrupted:
		s.Errors++
		c.Error = problem
	case Skipped:
		s.Skipped++
		c.Skipped = &struct{}{}
	}
	s.Cases = append(s.Cases, c)
}

// details is what a step did and checked, a line each.
func (s *StepResult) details() []string {
	out := append([]string(nil), s.Log...)
	for i := range s.Checks {
		out = append(out, checkLines(&s.Checks[i])...)
	}
	return out
}

func seconds(s float64) string { return fmt.Sprintf("%.3f", s) }
