package measure_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/bench/measure"
)

func TestPercentile(t *testing.T) {
	s := measure.Series{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	for p, want := range map[int]time.Duration{1: 1, 10: 1, 50: 5, 51: 6, 99: 10, 100: 10} {
		if got := s.Percentile(p); got != want {
			t.Errorf("percentile %d is %d, want %d", p, got, want)
		}
	}
	if got := measure.Series(nil).Median(); got != 0 {
		t.Errorf("the median of nothing is %d", got)
	}
}

func TestInTurn(t *testing.T) {
	var order []int
	add := func(i int) func() error { return func() error { order = append(order, i); return nil } }
	series, err := measure.InTurn(2, time.Hour, add(1), add(2))
	if err != nil || len(series) != 2 || len(series[0]) != 2 || len(series[1]) != 2 {
		t.Fatal(series, err)
	}
	for i, want := range []int{1, 1, 1, 2, 2, 2} {
		if order[i] != want {
			t.Fatal(order)
		}
	}
	if series, err := measure.InTurn(50, time.Hour, add(1), add(2)); err != nil || len(series[0]) != 50 || len(series[1]) != 50 {
		t.Error(len(series[0]), len(series[1]), err)
	}
	if _, err := measure.InTurn(3, time.Hour, func() error { return errors.New("broken") }); err == nil {
		t.Error("a failing run is timed")
	}
	if series, err := measure.InTurn(1000, 0, add(1)); err != nil || len(series[0]) != 1 {
		t.Error("the limit does not hold:", series, err)
	}
}

func TestRate(t *testing.T) {
	rate, times, err := measure.Rate(t.Context(), 4, 50*time.Millisecond, func(context.Context) error { time.Sleep(5 * time.Millisecond); return nil })
	if err != nil || len(times) < 8 || rate < 100 || rate > 801 {
		t.Fatal(rate, len(times), err)
	}
	if _, _, err := measure.Rate(t.Context(), 4, time.Second, func(context.Context) error { return errors.New("broken") }); err == nil {
		t.Error("a failing call is counted")
	}
}
