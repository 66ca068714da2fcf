package manage

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// Long reports have several pages; no character is lost where a line is broken.
func TestPDFPages(t *testing.T) {
	var lines []string
	for i := range 200 {
		lines = append(lines, fmt.Sprintf("line %d %s", i, strings.Repeat("word ", i%40)))
	}
	out := writePDF(lines)
	pages := bytes.Count(out, []byte("/Type /Page "))
	if pages < 4 || !bytes.Contains(out, fmt.Appendf(nil, "/Count %d ", pages)) {
		t.Errorf("%d pages", pages)
	}
	for _, line := range append(lines, strings.Repeat("x", 300), "") {
		broken := breakLine(line)
		for _, part := range broken {
			if len(part) > lineLength {
				t.Errorf("a line of %d", len(part))
			}
		}
		if got := strings.ReplaceAll(strings.Join(broken, ""), " ", ""); got != strings.ReplaceAll(line, " ", "") {
			t.Errorf("%q became %q", line, broken)
		}
	}
}

func TestLike(t *testing.T) {
	for _, c := range []struct {
		pattern, value string
		want           bool
	}{
		{"", "", true},
		{"", "a", false},
		{"%", "", true},
		{"%", "abc", true},
		{"a%", "abc", true},
		{"%c", "abc", true},
		{"%b%", "abc", true},
		{"a_c", "abc", true},
		{"a_c", "ac", false},
		{"_", "é", true},
		{"__", "é", false},
		{"a%b%c", "axxbyyc", true},
		{"a%b%c", "axxcyyb", false},
		{"%%", "x", true},
		{"abc", "ab", false},
		{"ab", "abc", false},
		{"%ab", "aab", true},
		{"%a%a%a%a%a%a%b", strings.Repeat("a", 2000), false},
		{"ABC", "abc", false},
	} {
		if got := like(c.pattern, c.value); got != c.want {
			t.Errorf("%q like %q: %v", c.value, c.pattern, got)
		}
	}
}

func TestParseISODuration(t *testing.T) {
	for text, want := range map[string]string{
		"PT1440M": "24h0m0s", "P1D": "24h0m0s", "P1W": "168h0m0s", "PT1H30M": "1h30m0s", "P1DT1S": "24h0m1s", "PT90S": "1m30s", "PT0S": "0s",
		"": "", "P": "", "PT": "", "P1": "", "1D": "", "P1M": "", "P1Y": "", "PT1D": "", "P1H": "", "PT1M1H": "", "PT1.5H": "", "PT-1M": "", "pt1m": "", "P1DT": "", "PT99999999S": "", "PTM": "", "PT1MM": "",
	} {
		d, err := parseISODuration(text)
		if got := d.String(); (err == nil) != (want != "") || want != "" && got != want {
			t.Errorf("%q: %v, %v, want %s", text, d, err, want)
		}
	}
}
