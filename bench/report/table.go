package main

import (
	"fmt"
	"math"
	"time"

	"github.com/ambit-authz/ambit/bench/measure"
)

// report prints results as they come.
type report struct {
	settings
}

// head begins a table.
func (r *report) head(format string, args ...any) {
	fmt.Printf("\n### "+format+"\n\n| what | runs | median | p99 | against Ambit |\n| --- | --- | --- | --- | --- |\n", args...)
}

// row prints a contender; base is Ambit's median.
func (r *report) row(name string, s measure.Series, base time.Duration) {
	ratio := "1"
	if base != s.Median() {
		ratio = times(float64(s.Median()) / float64(base))
	}
	fmt.Printf("| %s | %d | %s | %s | %s |\n", name, len(s), short(s.Median()), short(s.Percentile(99)), ratio)
}

// verdict prints a target and whether it is met.
func (r *report) verdict(met bool, target, format string, args ...any) {
	word := "met"
	if !met {
		word = "**missed**"
	}
	fmt.Printf("- %s: %s – %s\n", target, fmt.Sprintf(format, args...), word)
}

// note prints a result without a target.
func (r *report) note(format string, args ...any) { fmt.Printf("- "+format+"\n", args...) }

// gap ends a table.
func (r *report) gap() { fmt.Println() }

// short rounds a time to three digits.
func short(d time.Duration) string {
	if d <= 0 {
		return "0"
	}
	unit := time.Duration(math.Pow10(int(math.Log10(float64(d))) - 2))
	return d.Round(max(unit, 1)).String()
}

func times(x float64) string {
	if x >= 10 {
		return fmt.Sprintf("%.0f×", x)
	}
	return fmt.Sprintf("%.2f×", x)
}
