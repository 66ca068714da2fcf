package model

import (
	"cmp"
	"strings"
)

// Number is an exact decimal in canonical form: equal numbers are == and hash alike. Its value is
// sign × 0.digits × 10^exp; digits has no zero at either end and is empty for zero. The zero Number is 0.
type Number struct {
	sign   int8 // -1, 0, 1
	exp    int32
	digits string
}

// Limits of V7 on the text of a number.
const (
	maxNumberLength   = 400
	maxNumberExponent = 9999
)

// ParseNumber reads a text as a number (V7): after removing ASCII blanks around it, it must match
// [+-]?(digits[.digits*]|.digits)([eE][+-]?digits)?, have at most 400 characters and an exponent between -9,999 and
// 9,999. ok is false for every other text. Nothing passes through a binary float.
func ParseNumber(text string) (n Number, ok bool) {
	s := strings.Trim(text, " \t\r\n\v\f")
	if s == "" || len(s) > maxNumberLength {
		return Number{}, false
	}
	sign := int8(1)
	switch s[0] {
	case '-':
		sign = -1
		s = s[1:]
	case '+':
		s = s[1:]
	}
	mantissa, exponent, hasExp := cutExponent(s)
	e := 0
	if hasExp {
		if e, ok = parseExponent(exponent); !ok {
			return Number{}, false
		}
	}
	whole, fraction, hasPoint := strings.Cut(mantissa, ".")
	if !allDigits(whole) || !allDigits(fraction) || whole == "" && fraction == "" || whole == "" && !hasPoint {
		return Number{}, false
	}
	digits := whole
	if fraction != "" {
		digits = whole + fraction
	}
	point := len(whole)
	lead := 0
	for lead < len(digits) && digits[lead] == '0' {
		lead++
	}
	digits = strings.TrimRight(digits[lead:], "0")
	if digits == "" {
		return Number{}, true
	}
	return Number{sign: sign, exp: int32(point - lead + e), digits: digits}, true
}

// Compare orders numbers by value.
func (n Number) Compare(m Number) int {
	if c := cmp.Compare(n.sign, m.sign); c != 0 || n.sign == 0 {
		return c
	}
	c := cmp.Compare(n.exp, m.exp)
	if c == 0 {
		c = strings.Compare(n.digits, m.digits)
	}
	return c * int(n.sign)
}

// String writes the number in plain decimal notation without an exponent, in its shortest form.
func (n Number) String() string {
	if n.sign == 0 {
		return "0"
	}
	var b strings.Builder
	if n.sign < 0 {
		b.WriteByte('-')
	}
	point := int(n.exp)
	switch {
	case point <= 0:
		b.WriteString("0.")
		b.WriteString(strings.Repeat("0", -point))
		b.WriteString(n.digits)
	case point >= len(n.digits):
		b.WriteString(n.digits)
		b.WriteString(strings.Repeat("0", point-len(n.digits)))
	default:
		b.WriteString(n.digits[:point] + "." + n.digits[point:])
	}
	return b.String()
}

func cutExponent(s string) (mantissa, exponent string, found bool) {
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}

func parseExponent(s string) (int, bool) {
	negative := false
	if s != "" && (s[0] == '-' || s[0] == '+') {
		negative = s[0] == '-'
		s = s[1:]
	}
	if s == "" || !allDigits(s) {
		return 0, false
	}
	e := 0
	for i := range len(s) {
		if e = e*10 + int(s[i]-'0'); e > maxNumberExponent {
			return 0, false
		}
	}
	if negative {
		e = -e
	}
	return e, true
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// Key encodes the number so that keys compare, as byte strings, like the numbers, and equal numbers have equal keys.
func (n Number) Key() string {
	if n.sign == 0 {
		return "\x01"
	}
	b := make([]byte, 0, len(n.digits)+4)
	e := uint16(n.exp + 1<<15)
	b = append(b, 2, byte(e>>8), byte(e))
	b = append(b, n.digits...)
	if n.sign < 0 {
		for i := range b {
			b[i] = ^b[i]
		}
		b[0] = 0
		b = append(b, 0xff) // a shorter negative number is the greater one
	}
	return string(b)
}
