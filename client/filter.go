package client

import (
	"context"
	"slices"
)

// Resolution is what an identity may do, as filters for rows that the server does not hold (runtime-api.md 10). A type or
// action that does not stand in it is not allowed on any row: no filter is never no condition.
type Resolution struct {
	Meta
	Filters []Filter
	// Assets are assets of types that the server holds, such as columns.
	Assets []Entry
}

// Filter says on which rows of a type an action is allowed. The zero value allows none.
type Filter struct {
	Type string
	Action
	// All says: on every row. Otherwise a row has to fit all conditions of at least one of Any.
	All bool
	Any [][]Condition
}

// Condition is about one attribute of a row.
type Condition struct {
	Attribute string
	// Number says that values are decimal numbers.
	Number bool
	// Operator is EQUALS, NOTEQUALS, IN, NOT_IN, LESS, LESS_EQUALS, GREATE, GREAT_EQUALS, CONTAINS, STARTWITH or ENDWITH. A
	// row fits when any of the attribute's values does; NOTEQUALS and NOT_IN when it has values and none is listed. Code
	// that meets another one has to hide the row.
	Operator string
	Values   []string // several only with IN and NOT_IN
}

// Filter asks which rows an identity may use. Filters of Query.Types with no entry in the answer allow nothing.
func (c *Client) Filter(ctx context.Context, q Query) (*Resolution, error) {
	request, err := q.list()
	if err != nil {
		return nil, err
	}
	answer := &Resolution{}
	err = c.ask(ctx, question{path: "resolution/v3", query: &q, request: request}, func(m Meta, r reader) error {
		answer.Meta = m
		lists := 0
		err := r.response(func() error {
			lists++
			return r.single("privileges", func() error {
				return r.single("allowed", func() error {
					return r.array(func() error { return r.privilege(answer) })
				})
			})
		})
		if err == nil && lists != 1 {
			err = malformed("%d lists of privileges", lists)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return answer, nil
}

// privilege reads an entry: with a path it is an asset, else filters of a type.
func (r reader) privilege(answer *Resolution) error {
	var e Entry
	var filters []Filter
	isAsset, filtered := false, false
	err := r.object(func(name string) (err error) {
		switch name {
		case "resourceType":
			e.Type, err = r.text()
		case "path":
			isAsset = true
			e.Path, err = r.text()
		case "attributes":
			e.Attributes, err = r.values()
		case "actions":
			err = r.array(func() error {
				f, has, err := r.filter()
				filtered = filtered || has
				filters = append(filters, f)
				e.Actions = append(e.Actions, f.Action)
				return err
			})
		default:
			err = r.skip()
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case e.Type == "":
		return malformed("an entry without type")
	case isAsset && filtered:
		return malformed("an asset with a filter")
	case isAsset:
		answer.Assets = append(answer.Assets, e)
		return nil
	}
	for _, f := range filters {
		f.Type = e.Type
		answer.Filters = append(answer.Filters, f)
	}
	return nil
}

func (r reader) filter() (f Filter, has bool, err error) {
	err = r.object(func(name string) error {
		if name != "asset-attributes-filter" {
			return r.actionMember(&f.Action, name)
		}
		has = true
		return r.group("OR", func() error {
			var branch []Condition
			err := r.group("AND", func() error {
				condition, err := r.condition()
				branch = append(branch, condition)
				return err
			})
			f.Any = append(f.Any, branch)
			return err
		})
	})
	if err == nil && f.Name == "" {
		err = malformed("an action without name")
	}
	f.All = err == nil && !has
	return f, has, err
}

// group reads {"name":[…]} with at least one element and nothing beside.
func (r reader) group(want string, element func() error) error {
	n := 0
	err := r.object(func(name string) error {
		if name != want {
			return malformed("a filter with another part than %s", want)
		}
		return r.array(func() error {
			n++
			return element()
		})
	})
	if err == nil && n == 0 {
		err = malformed("a filter with an empty %s", want)
	}
	return err
}

func (r reader) condition() (Condition, error) {
	var c Condition
	valueType := ""
	err := r.object(func(name string) (err error) {
		switch name {
		case "attribute":
			c.Attribute, err = r.text()
		case "type":
			valueType, err = r.text()
		case "operator":
			c.Operator, err = r.text()
		case "values":
			c.Values, err = r.texts()
		default:
			err = malformed("a condition with an unknown part")
		}
		return err
	})
	if err != nil {
		return c, err
	}
	c.Number = valueType == "INTEGER"
	one := []string{"EQUALS", "NOTEQUALS", "LESS", "LESS_EQUALS", "GREATE", "GREAT_EQUALS", "CONTAINS", "STARTWITH", "ENDWITH"}
	known := len(c.Values) == 1 && slices.Contains(one, c.Operator) || len(c.Values) > 0 && (c.Operator == "IN" || c.Operator == "NOT_IN")
	if !known || c.Attribute == "" || !c.Number && valueType != "STRING" {
		return c, malformed("a condition that cannot be read")
	}
	return c, nil
}
