package model_test

import (
	"cmp"
	"math/big"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ambit-authz/ambit/internal/model"
)

// drawNumber makes texts around the edges of V7.
func drawNumber(t *rapid.T, label string) string {
	return rapid.StringMatching(`[+-]?(0{0,3}[0-9]{1,25}(\.[0-9]{0,12})?|\.[0-9]{1,6})([eE][+-]?[0-9]{1,2})?`).Draw(t, label)
}

func TestNumberComparesLikeRationals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawNumber(t, "a"), drawNumber(t, "b")
		ra, _ := new(big.Rat).SetString(a)
		rb, _ := new(big.Rat).SetString(b)
		na, ok := model.ParseNumber(a)
		nb, ok2 := model.ParseNumber(b)
		if !ok || !ok2 || ra == nil || rb == nil {
			t.Fatalf("%q %v, %q %v", a, ok, b, ok2)
		}
		want := ra.Cmp(rb)
		if got := na.Compare(nb); got != want {
			t.Fatalf("%s against %s: %d, want %d", a, b, got, want)
		}
		if got := cmp.Compare(na.Key(), nb.Key()); got != want {
			t.Fatalf("keys of %s and %s: %d, want %d", a, b, got, want)
		}
		if (na == nb) != (want == 0) {
			t.Fatalf("%s == %s is %v", a, b, na == nb)
		}
		back, ok := model.ParseNumber(na.String())
		if !ok || back != na {
			t.Fatalf("%s prints as %s", a, na)
		}
	})
}

func TestParseNumberRefuses(t *testing.T) {
	for _, s := range []string{
		"", " ", ".", "-", "+.", "1e", "1e+", "e5", "0x10", "NaN", "Infinity", "1,000", "1 0", "--1", "1.2.3",
		"1e10000", "1e-10000", "١", strings.Repeat("9", 401),
	} {
		if n, ok := model.ParseNumber(s); ok {
			t.Errorf("%q is read as %s", s, n)
		}
	}
	for _, s := range []string{"1e9999", "-1e-9999", " 7 ", "\t1.\n", ".5", "+3", strings.Repeat("9", 400)} {
		if _, ok := model.ParseNumber(s); !ok {
			t.Errorf("%q is refused", s)
		}
	}
}

// FuzzNumber: V7 (PM-22): what is read as a number is one by its grammar, has the value that math/big gives it, and keeps
// it through String and Key.
func FuzzNumber(f *testing.F) {
	for _, s := range []string{"", "0", "-0", "1.50", ".5", "5.", " 7 ", "1e2", "-12E-3", "0x10", "1e9999", "NaN", "+00.00100"} {
		f.Add(s)
	}
	grammar := regexp.MustCompile(`^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$`)
	f.Fuzz(func(t *testing.T, s string) {
		n, ok := model.ParseNumber(s)
		trimmed := strings.Trim(s, " \t\r\n\v\f")
		if ok && !grammar.MatchString(trimmed) {
			t.Fatalf("%q is read as %s", s, n)
		}
		if !ok {
			return
		}
		if _, exponent, _ := strings.Cut(strings.ToLower(trimmed), "e"); len(strings.TrimLeft(exponent, "+-0")) > 3 {
			return // too large to expand in a test
		}
		want, parsed := new(big.Rat).SetString(trimmed)
		got, printed := new(big.Rat).SetString(n.String())
		if !parsed || !printed || got.Cmp(want) != 0 {
			t.Fatalf("%q is read as %s", s, n)
		}
		back, ok := model.ParseNumber(n.String())
		if len(n.String()) <= 400 && (!ok || back != n || back.Key() != n.Key()) {
			t.Fatalf("%q prints as %s, which reads as %s", s, n, back)
		}
	})
}
