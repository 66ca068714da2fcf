package model

import (
	"fmt"
	"unicode/utf8"
)

// PAAGroup is a group of the agents that bring data from outside (management-api.md 13). A decision reads none of it.
type PAAGroup struct {
	ID              string // external id
	Type            string
	Agents          int
	HasInactiveSync bool
}

// PAASource is a source of a group. Definition is JSON; the values of its secret properties are sealed.
type PAASource struct {
	GroupID, ID string // external ids
	Definition  []byte
}

// PAAViews are all views of a group, in the order given.
type PAAViews struct {
	GroupID string
	Views   []PAAView
}

// PAAView is the text of the views of one agent, or of all.
type PAAView struct {
	Type, PAAID, Text string
}

const maxPAAText = 4_000 // of names and types, in code points

// Validate checks a group.
func (g *PAAGroup) Validate() error {
	var es Errors
	es.check("/id", CheckExternalID(g.ID))
	es.check("/paaGroupType", checkPAAText(g.Type))
	if g.Agents < 0 {
		es.Add("/paasCount", "is below 0")
	}
	return es.OrNil()
}

// Validate checks what all sources have; the rest of a definition is free.
func (s *PAASource) Validate() error {
	var es Errors
	es.check("/sourceId", CheckExternalID(s.ID))
	return es.OrNil()
}

// Validate checks all views but for the length of their texts, which is a limit of the call.
func (v *PAAViews) Validate() error {
	var es Errors
	for i := range v.Views {
		es.check(fmt.Sprintf("/%d/type", i), checkPAAText(v.Views[i].Type))
		es.check(fmt.Sprintf("/%d/paaId", i), checkPAAText(v.Views[i].PAAID))
	}
	return es.OrNil()
}

// checkPAAText: the text may be empty.
func checkPAAText(s string) string {
	if n := utf8.RuneCountInString(s); n > maxPAAText {
		return fmt.Sprintf("has %d characters, the limit is %d", n, maxPAAText)
	}
	if hasControl(s) {
		return "contains a control character"
	}
	return ""
}
