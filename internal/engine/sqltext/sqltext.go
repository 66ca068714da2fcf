// Package sqltext prints filters of the engine as conditions of SQL, for rows that live in a database: the text with
// placeholders, and the values for them. Start at Print.
//
// It promises that a row is selected only when the filter fits it (policy-model.md 4.1), whatever the collation of the
// column and of the database: texts are equal byte by byte, trailing blanks and case included, a row whose column is NULL
// is never selected, and what a dialect cannot compare exactly is refused. No value ever becomes part of the text, and no ?
// is in it that is not a placeholder. A printed text is one operand: it may stand beside AND, OR and NOT without parentheses of its own.
//
// What it asks of the table: the column of a STRING attribute holds texts that are not padded, that of a NUMERIC attribute
// is of an exact numeric type (integer, decimal); in SQLite, which has none, of whole numbers of 64 bit or of 15 digits.
//
// The package decides nothing: it imports the engine for its Filter and holds no state.
package sqltext

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/model"
)

// Condition is a printed filter. Parameters are the values of its placeholders, in their order.
type Condition struct {
	Text       string
	Parameters []Parameter
}

// Parameter is the value of a placeholder. A numeric one is a decimal number in plain notation; it may be bound as a text,
// the condition casts it.
type Parameter struct {
	Value   string
	Numeric bool
}

// ErrTooLong is the error of conditions for which there is not enough room. A condition is never cut off.
var ErrTooLong = errors.New("sqltext: a condition is too long")

// Everything and Nothing are the conditions of filters that fit all rows and none.
const (
	Everything = "1 = 1"
	Nothing    = "1 = 0"
)

// Print writes a filter in a dialect. column names the column of an attribute, or says why there is none. What the text
// takes of the room, in bytes, is gone afterwards. Errors: ErrTooLong, that of column, and one that says what the dialect
// cannot tell exactly: a name, a number, a text, or more values than a statement may have parameters.
func Print(d Dialect, f *engine.Filter, column func(model.AttributeID) (string, error), room *int) (Condition, error) {
	if f.Branches == nil {
		return Condition{Text: Everything}, nil
	}
	p := &printer{dialect: d, grammar: grammarOf(d), column: column, room: room}
	branches := make([]string, len(f.Branches))
	for i, leaves := range f.Branches {
		texts := make([]string, len(leaves))
		for j := range leaves {
			var err error
			if texts[j], err = p.leaf(&leaves[j]); err != nil {
				return Condition{}, err
			}
		}
		branches[i] = join(texts, " AND ", Everything)
	}
	text := join(branches, " OR ", Nothing)
	if p.grammar.highNot && !strings.HasPrefix(text, "(") { // no comparison begins with one
		text = "(" + text + ")"
	}
	return Condition{Text: text, Parameters: p.parameters}, nil
}

// printer holds what is printed so far.
type printer struct {
	dialect    Dialect
	grammar    *grammar
	column     func(model.AttributeID) (string, error)
	room       *int
	parameters []Parameter
}

// leaf prints a comparison.
func (p *printer) leaf(l *engine.Leaf) (string, error) {
	column, err := p.column(l.Attribute)
	if err != nil {
		return "", err
	}
	name, err := p.grammar.name(column)
	if err != nil {
		return "", fmt.Errorf("attribute %s: %w", l.Attribute, err)
	}
	for _, v := range l.Values {
		if err := p.check(l, v); err != nil {
			return "", fmt.Errorf("attribute %s: %w", l.Attribute, err)
		}
	}
	before := len(p.parameters)
	if before+len(l.Values) > p.grammar.parameters { // a request may bring a million values: nothing is printed of them
		return "", p.tooMany()
	}
	text, err := p.compare(l, name)
	if err != nil {
		return "", fmt.Errorf("attribute %s: %w", l.Attribute, err)
	}
	if len(p.parameters) > p.grammar.parameters { // a value may need two
		return "", p.tooMany()
	}
	*p.room -= len(text)
	for _, v := range p.parameters[before:] {
		*p.room -= len(v.Value)
	}
	if *p.room < 0 {
		return "", ErrTooLong
	}
	return text, nil
}

func (p *printer) tooMany() error {
	return fmt.Errorf("the filter has more values than the %d parameters that a statement of %s may have", p.grammar.parameters, p.dialect)
}

// check refuses values that the dialect cannot hold, or not exactly.
func (p *printer) check(l *engine.Leaf, value string) error {
	switch {
	case l.Numeric && !p.grammar.holds(value):
		return fmt.Errorf("a number is not one that %s compares exactly (%s)", p.dialect, p.grammar.numbers)
	case l.Numeric:
		return nil
	case strings.ContainsRune(value, 0) || !utf8.ValidString(value):
		return errors.New("a text holds a character that databases cannot compare")
	case l.Op.IsText() && p.grammar.pattern > 0 && units(value) > p.grammar.pattern:
		return fmt.Errorf("a text is longer than the %d characters that %s looks for", p.grammar.pattern, p.dialect)
	}
	return nil
}

// compare prints a comparison with values that were checked, as an operand of AND and OR.
func (p *printer) compare(l *engine.Leaf, name string) (string, error) {
	g := p.grammar
	if len(l.Values) == 0 || len(l.Values) > 1 && l.Op != model.OpIn && l.Op != model.OpNotIn {
		return "", fmt.Errorf("operator %s with %d values", l.Op, len(l.Values))
	}
	switch l.Op {
	case model.OpContains, model.OpStartsWith, model.OpEndsWith:
		if l.Numeric {
			break
		}
		if l.Values[0] == "" {
			return g.present(name), nil
		}
		return join(guarded(g.textGuard, name, p.search(l, name)), " AND ", ""), nil
	case model.OpEqual, model.OpNotEqual, model.OpIn, model.OpNotIn:
		column, guard := fmt.Sprintf(g.text, name), g.textGuard
		if l.Numeric {
			column, guard = name, g.numberGuard
		}
		if l.Numeric && g.equalNumbers && !l.Op.IsNegative() {
			guard = ""
		}
		return join(guarded(guard, name, column+p.equality(l)), " AND ", ""), nil
	case model.OpLess, model.OpLessEqual, model.OpGreater, model.OpGreaterEqual:
		if l.Numeric {
			return join(guarded(g.numberGuard, name, name+" "+l.Op.String()+" "+p.number(l.Values[0])), " AND ", ""), nil
		}
	}
	return "", fmt.Errorf("no such comparison: %s", l.Op)
}

// guarded puts the conditions on a column that make its comparison safe before it.
func guarded(guard, name, comparison string) []string {
	if guard == "" {
		return []string{comparison}
	}
	return []string{strings.ReplaceAll(guard, "%s", name), comparison}
}

// equality prints the operator and the values of an equality.
func (p *printer) equality(l *engine.Leaf) string {
	one := p.text
	if l.Numeric {
		one = p.number
	}
	values := make([]string, len(l.Values))
	for i, v := range l.Values {
		values[i] = one(v)
	}
	list := strings.Join(values, ", ")
	switch l.Op {
	case model.OpEqual:
		return " = " + list
	case model.OpNotEqual:
		return " <> " + list
	case model.OpIn:
		return " IN (" + list + ")"
	}
	return " NOT IN (" + list + ")"
}

// search prints a text operator.
func (p *printer) search(l *engine.Leaf, name string) string {
	g, value := p.grammar, l.Values[0]
	if g.search == nil {
		return fmt.Sprintf(g.text, name) + " LIKE " + p.text(pattern(l.Op, value)) + " ESCAPE '!'"
	}
	return g.search(l.Op, name, func() string { return p.text(value) })
}

// pattern is what LIKE looks for. The bracket means something to SQL Server only; escaped it is a bracket everywhere.
func pattern(op model.Operator, value string) string {
	value = strings.NewReplacer("!", "!!", "%", "!%", "_", "!_", "[", "![").Replace(value)
	if op != model.OpStartsWith {
		value = "%" + value
	}
	if op != model.OpEndsWith {
		value += "%"
	}
	return value
}

func (p *printer) text(value string) string {
	return fmt.Sprintf(p.grammar.textParameter, p.placeholder(Parameter{Value: value}))
}

func (p *printer) number(value string) string {
	return fmt.Sprintf(p.grammar.numberParameter, p.placeholder(Parameter{Value: value, Numeric: true}))
}

func (p *printer) placeholder(v Parameter) string {
	p.parameters = append(p.parameters, v)
	if !p.grammar.numbered {
		return p.grammar.placeholder
	}
	return fmt.Sprintf("%s%d", p.grammar.placeholder, len(p.parameters))
}

// width is how many operands stand side by side: databases bound the depth of an expression, and some of them count every
// operator of a chain.
const width = 50

// join makes one operand of many; none at all are empty.
func join(operands []string, operator, empty string) string {
	for len(operands) > width {
		var groups []string
		for len(operands) > 0 {
			n := min(width, len(operands))
			groups = append(groups, join(operands[:n], operator, empty))
			operands = operands[n:]
		}
		operands = groups
	}
	switch len(operands) {
	case 0:
		return empty
	case 1:
		return operands[0]
	}
	return "(" + strings.Join(operands, operator) + ")"
}
