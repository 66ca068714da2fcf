package policytest

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// Write prints the report for people: failures, then the coverage when it is wanted, then the count.
func (r *Report) Write(w io.Writer, verbose, coverage bool) error {
	var b strings.Builder
	for i := range r.Results {
		t := &r.Results[i]
		switch {
		case len(t.Failures) > 0:
			fmt.Fprintf(&b, "FAIL %s:%d: %s\n", t.File, t.Line, t.Name)
			for _, failure := range t.Failures {
				fmt.Fprintf(&b, "     %s\n", failure)
			}
		case verbose:
			fmt.Fprintf(&b, "ok   %s:%d: %s\n", t.File, t.Line, t.Name)
		}
	}
	if coverage {
		r.writeCoverage(&b)
	}
	fmt.Fprintf(&b, "%d tests, %d failed", len(r.Results), r.Failed())
	held, all := 0, 0
	for i := range r.Coverage {
		h, n := r.Coverage[i].Covered()
		held, all = held+h, all+n
	}
	if all > 0 {
		fmt.Fprintf(&b, "; %d of %d branches of %d policies held (%d %%)", held, all, len(r.Coverage), 100*held/all)
	}
	b.WriteByte('\n')
	_, err := io.WriteString(w, b.String())
	return err
}

// writeCoverage lists the policies with what never held.
func (r *Report) writeCoverage(b *strings.Builder) {
	for i := range r.Coverage {
		p := &r.Coverage[i]
		held, all := p.Covered()
		fmt.Fprintf(b, "%3d/%-3d %s", held, all, p.ID)
		if !p.Asked {
			b.WriteString("  (never asked)\n")
			continue
		}
		b.WriteByte('\n')
		for j := range p.Blocks {
			block := &p.Blocks[j]
			for n, ok := range block.Branches {
				if !ok {
					fmt.Fprintf(b, "        never held: %s %q, branch %d of %d\n", block.Kind, block.Name, n+1, len(block.Branches))
				}
			}
		}
	}
}

type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Time     string      `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`
	seconds  float64
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	File    string        `xml:"file,attr"`
	Line    int           `xml:"line,attr"`
	Time    string        `xml:"time,attr"`
	Failure *junitFailure `xml:"failure"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// WriteJUnit prints the report as JUnit XML, one suite a file.
func (r *Report) WriteJUnit(w io.Writer) error {
	out := junitSuites{Tests: len(r.Results), Failures: r.Failed()}
	for i := range r.Results {
		t := &r.Results[i]
		if n := len(out.Suites); n == 0 || out.Suites[n-1].Name != t.File {
			out.Suites = append(out.Suites, junitSuite{Name: t.File})
		}
		s := &out.Suites[len(out.Suites)-1]
		c := junitCase{Name: t.Name, Class: t.File, File: t.File, Line: t.Line, Time: fmt.Sprintf("%.6f", t.Took.Seconds())}
		if len(t.Failures) > 0 {
			s.Failures++
			c.Failure = &junitFailure{Message: t.Failures[0], Text: strings.Join(t.Failures, "\n")}
		}
		s.Tests++
		s.seconds += t.Took.Seconds()
		s.Time = fmt.Sprintf("%.6f", s.seconds)
		s.Cases = append(s.Cases, c)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(out); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}
