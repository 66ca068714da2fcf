package sqltext

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/ambit-authz/ambit/internal/model"
)

// Dialect is the SQL of a database. The zero Dialect is none.
type Dialect uint8

// The dialects.
const (
	PostgreSQL Dialect = iota + 1 // 14 and later
	MySQL                         // 5.7 and later, MariaDB 10 and later
	SQLite                        // 3
	SQLServer                     // 2012 and later
)

// Dialects lists the names that ParseDialect takes.
func Dialects() []string { return []string{"postgresql", "mysql", "sqlite", "sqlserver"} }

// ParseDialect reads the name of a dialect. ok is false for a name that is none.
func ParseDialect(name string) (d Dialect, ok bool) {
	for i, n := range Dialects() {
		if n == name {
			return Dialect(i + 1), true
		}
	}
	return 0, false
}

// String is the dialect's name.
func (d Dialect) String() string {
	if d < PostgreSQL || d > SQLServer {
		return "no dialect"
	}
	return Dialects()[d-1]
}

// grammar is how a dialect writes what a filter says. In its formats %s stands for a quoted name or a placeholder.
type grammar struct {
	open, shut      string // around names; shut is doubled inside
	nameUnits       func(string) int
	nameLength      int // in those units
	placeholder     string
	numbered        bool // placeholders
	parameters      int  // that a statement may have
	highNot         bool // NOT may bind closer than a comparison (sql_mode HIGH_NOT_PRECEDENCE)
	text            string
	textParameter   string
	textGuard       string
	numberParameter string
	numberGuard     string
	equalNumbers    bool   // are equal without the guard, too
	numbers         string // those that it holds, for people
	holds           func(number string) bool
	pattern         int // longest text to look for, in UTF-16 units; 0 = any
	// search prints a text operator where LIKE would not do; value gives the placeholder, again with each call
	search func(op model.Operator, name string, value func() string) string
}

func grammarOf(d Dialect) *grammar {
	switch d {
	case PostgreSQL:
		return postgresql()
	case MySQL:
		return mysql()
	case SQLite:
		return sqlite()
	case SQLServer:
		return sqlserver()
	}
	panic("sqltext: no such dialect") // a text in another one could mean more
}

// postgresql: the cast undoes types that compare without case (citext), the collation those that are not deterministic.
// NaN is greater than every number and the infinities are no numbers of the model. A longer name would be cut off
// silently, and could then be that of another column.
func postgresql() *grammar {
	return &grammar{
		open: `"`, shut: `"`, nameUnits: bytes, nameLength: 63,
		placeholder: "$", numbered: true, parameters: 65535,
		text:            `CAST(%s AS TEXT) COLLATE "C"`,
		textParameter:   "%s",
		numberParameter: "CAST(%s AS NUMERIC)",
		numberGuard:     "%s > CAST('-Infinity' AS NUMERIC) AND %s < CAST('Infinity' AS NUMERIC)", equalNumbers: true,
		numbers: "16,383 digits after the point", holds: digits(131072, 16383),
	}
}

// mysql: only binary strings compare without padding in every version; they are of one character set before. A text that
// is no number would count as 0. The pattern for numbers has no ? of its own: clients that put values into the text by
// themselves take every ? for a placeholder, also one inside quotes.
func mysql() *grammar {
	return &grammar{
		open: "`", shut: "`", nameUnits: utf8.RuneCountInString, nameLength: 64,
		placeholder: "?", parameters: 65535, highNot: true,
		text:            "CAST(CONVERT(%s USING utf8mb4) AS BINARY)",
		textParameter:   "CAST(CONVERT(%s USING utf8mb4) AS BINARY)",
		numberParameter: "CAST(%s AS DECIMAL(65,30))",
		numberGuard:     "CONVERT(%s USING utf8mb4) REGEXP '^-{0,1}[0-9]+([.][0-9]+){0,1}$'",
		numbers:         "35 digits before the point and 30 after it", holds: digits(35, 30),
	}
}

// sqlite: a name in double quotes that is no column would be a text, so names stand in backticks. A column holds values of
// any type, and texts are greater than all numbers, so the type is asked for each row. LIKE ignores case, GLOB ends at a
// NUL; instr and BLOBs do neither.
func sqlite() *grammar {
	return &grammar{
		open: "`", shut: "`", nameUnits: bytes, nameLength: 1000,
		placeholder: "?", parameters: 32766,
		text:            "%s COLLATE BINARY",
		textParameter:   "%s",
		textGuard:       "typeof(%s) = 'text'",
		numberParameter: "CAST(%s AS NUMERIC)",
		numberGuard:     "typeof(%s) IN ('integer', 'real') AND %s BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308",
		numbers:         "whole numbers of 64 bit, others of 15 digits", holds: sqliteNumber,
		search: func(op model.Operator, name string, value func() string) string {
			switch op {
			case model.OpContains:
				return "instr(" + name + ", " + value() + ") > 0"
			case model.OpStartsWith:
				return "instr(" + name + ", " + value() + ") = 1"
			}
			return "substr(CAST(" + name + " AS BLOB), -length(CAST(" + value() + " AS BLOB))) = CAST(" + value() + " AS BLOB)"
		},
	}
}

// sqlserver: = pads the shorter text with blanks under every collation, so both sides end in a point. Drivers send a
// statement through sp_executesql, which takes two of the 2,100 parameters. Two decimals are compared as a third type,
// which must not lose digits: 19 on both sides of the point leave room. NULL and a text are a text where
// CONCAT_NULL_YIELDS_NULL is off.
func sqlserver() *grammar {
	return &grammar{
		open: "[", shut: "]", nameUnits: units, nameLength: 128,
		placeholder: "@p", numbered: true, parameters: 2098,
		text:            "CAST(%s AS NVARCHAR(MAX)) COLLATE Latin1_General_100_BIN2 + N'.'",
		textParameter:   "CAST(%s AS NVARCHAR(MAX)) + N'.'",
		textGuard:       "%s IS NOT NULL",
		numberParameter: "CAST(%s AS DECIMAL(38, 19))",
		numbers:         "19 digits before the point and 19 after it", holds: digits(19, 19),
		pattern: 1900, // half of what LIKE takes: every character may have to be escaped
	}
}

func bytes(s string) int { return len(s) }

func units(s string) int { return len(utf16.Encode([]rune(s))) }

// name quotes a name.
func (g *grammar) name(column string) (string, error) {
	switch {
	case column == "" || strings.ContainsRune(column, 0) || !utf8.ValidString(column):
		return "", errors.New("has no column that can be named")
	case g.nameUnits(column) > g.nameLength:
		return "", fmt.Errorf("the name of its column is longer than %d", g.nameLength)
	case !g.numbered && strings.Contains(column, g.placeholder):
		return "", fmt.Errorf("the name of its column holds a %s, which clients take for a placeholder", g.placeholder)
	}
	return g.open + strings.ReplaceAll(column, g.shut, g.shut+g.shut) + g.shut, nil
}

// present is true of rows that have a text.
func (g *grammar) present(name string) string {
	if g.textGuard != "" {
		return strings.ReplaceAll(g.textGuard, "%s", name)
	}
	return name + " IS NOT NULL"
}

// digits accepts numbers of so many digits before and after the point.
func digits(before, after int) func(string) bool {
	return func(number string) bool {
		whole, fraction, ok := plain(number)
		return ok && len(whole) <= before && len(fraction) <= after
	}
}

// sqliteNumber accepts what both types of SQLite hold exactly: a double tells decimals of 15 digits apart.
func sqliteNumber(number string) bool {
	whole, fraction, ok := plain(number)
	if ok && fraction == "" {
		_, err := strconv.ParseInt(number, 10, 64)
		return err == nil
	}
	return ok && len(whole)+len(fraction) <= 15
}

// plain splits a number in plain notation; ok is false for every other text.
func plain(number string) (whole, fraction string, ok bool) {
	whole, fraction, point := strings.Cut(strings.TrimPrefix(number, "-"), ".")
	other := func(r rune) bool { return r < '0' || r > '9' }
	ok = whole != "" && point == (fraction != "") && !strings.ContainsFunc(whole, other) && !strings.ContainsFunc(fraction, other)
	return whole, fraction, ok
}
