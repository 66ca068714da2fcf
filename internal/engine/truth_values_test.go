package engine_test

import (
	"math/big"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/model"
)

// The reference's operators and conditions (policy-model.md 4.1, 4.2, 4.7): numbers with math/big, time from the local
// clock, address blocks from their text.

func compareTexts(op model.Operator, left, right []string) bool {
	if len(left) == 0 || len(right) == 0 {
		return false
	}
	any := func(f func(l, r string) bool) bool {
		return slices.ContainsFunc(left, func(l string) bool {
			return slices.ContainsFunc(right, func(r string) bool { return f(l, r) })
		})
	}
	equal := func(l, r string) bool { return l == r }
	switch op {
	case model.OpEqual, model.OpIn:
		return any(equal)
	case model.OpNotEqual, model.OpNotIn:
		return !any(equal)
	case model.OpContains:
		return any(strings.Contains)
	case model.OpStartsWith:
		return any(strings.HasPrefix)
	case model.OpEndsWith:
		return any(strings.HasSuffix)
	}
	return false
}

func compareNumbers(op model.Operator, left, right []*big.Rat) bool {
	if len(left) == 0 || len(right) == 0 {
		return false
	}
	any := func(f func(c int) bool) bool {
		return slices.ContainsFunc(left, func(l *big.Rat) bool {
			return slices.ContainsFunc(right, func(r *big.Rat) bool { return f(l.Cmp(r)) })
		})
	}
	switch op {
	case model.OpEqual, model.OpIn:
		return any(func(c int) bool { return c == 0 })
	case model.OpNotEqual, model.OpNotIn:
		return !any(func(c int) bool { return c == 0 })
	case model.OpLess:
		return any(func(c int) bool { return c < 0 })
	case model.OpLessEqual:
		return any(func(c int) bool { return c <= 0 })
	case model.OpGreater:
		return any(func(c int) bool { return c > 0 })
	case model.OpGreaterEqual:
		return any(func(c int) bool { return c >= 0 })
	}
	return false
}

var numberForm = regexp.MustCompile(`^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE]([+-]?[0-9]+))?$`)

// numbers keeps the values that are numbers (V7).
func numbers(texts []string) []*big.Rat {
	var out []*big.Rat
	for _, s := range texts {
		s = strings.Trim(s, "\t\n\v\f\r ")
		m := numberForm.FindStringSubmatch(s)
		if m == nil || len(s) > 400 {
			continue
		}
		if e, ok := new(big.Int).SetString(m[4], 10); ok && e.CmpAbs(big.NewInt(9999)) > 0 {
			continue
		}
		if n, ok := new(big.Rat).SetString(s); ok {
			out = append(out, n)
		}
	}
	return out
}

// inRange is E23 to E26, read off the formatted local time.
func inRange(r model.TimeRange, q engine.Question) bool {
	zone := time.FixedZone("", int(q.ZoneOffset/time.Second))
	if r.Zone != model.ZoneRequest {
		var err error
		if zone, err = time.LoadLocation(r.Zone); err != nil {
			return false
		}
	}
	local := q.Instant.In(zone)
	clock := local.Hour()*3600 + local.Minute()*60 + local.Second()
	today := time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, time.UTC)
	on := func(day time.Time) bool { return len(r.Days) == 0 || slices.Contains(r.Days, day.Weekday()) }
	asUTC := func(d model.Date) time.Time { return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC) }
	switch {
	case len(r.Months) > 0 && !slices.Contains(r.Months, local.Month()),
		!r.StartDate.IsZero() && today.Before(asUTC(r.StartDate)),
		!r.EndDate.IsZero() && today.After(asUTC(r.EndDate)):
		return false
	case r.Start >= 0 && r.End >= 0 && r.Start > r.End:
		return on(today) && clock >= r.Start || on(today.AddDate(0, 0, -1)) && clock <= r.End
	}
	return on(today) && clock >= r.Start && (r.End < 0 || clock <= r.End)
}

// inBlocks is E27 and E28, from the text of the blocks.
func inBlocks(c *model.IPCondition, source netip.Addr) bool {
	if !source.IsValid() {
		return false
	}
	inside := slices.ContainsFunc(c.Text, func(text string) bool {
		p := netip.MustParsePrefix(text)
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		return p.Masked().Contains(source.Unmap())
	})
	return inside != c.Restrict
}
