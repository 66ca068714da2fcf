package model_test

import (
	"cmp"
	"math/big"
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
