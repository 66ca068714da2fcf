package model

import (
	"fmt"
	"slices"
	"strings"
)

// MaxUnknownMembers is how many members of one file that its reader does not know are named as errors: as many as errors of
// one policy.
const MaxUnknownMembers = 100

// IsAnswerMember reports whether answers show a member that writes pass over: a file may be what a call has answered.
func IsAnswerMember(name string) bool {
	return slices.Contains([]string{"createdAt", "updatedAt", "revision", "incomplete"}, name)
}

// maxShapes is how many shapes of members are told apart.
const maxShapes = 100

// maxPointer is how many bytes of the path of a member are told: a name may be as long as its file.
const maxPointer = 300

// ShortPointer is a JSON pointer for people, cut where it is very long.
func ShortPointer(pointer string) string {
	if len(pointer) <= maxPointer {
		return pointer
	}
	return strings.ToValidUTF8(pointer[:maxPointer], "") + "…"
}

// PassedOver are members of files that their reader does not know and passes over: of those that differ only in the place in a
// list the first one, with how many there are. The zero value is none; it grows no further than a hundred members.
type PassedOver struct {
	Members []PassedMember // in the order in which they came
	More    int            // members beside those
	at      map[string]int
}

// PassedMember is the first member of its shape.
type PassedMember struct {
	Pos     Position
	Pointer string // JSON pointer in its file
	Count   int    // members of this shape, itself included
}

// Add counts members of one shape in files of one kind.
func (p *PassedOver) Add(kind string, m PassedMember) {
	key := kind + shapeOf(m.Pointer)
	i, known := p.at[key]
	switch {
	case known:
		p.Members[i].Count += m.Count
	case len(p.Members) == maxShapes:
		p.More += m.Count
	default:
		if p.at == nil {
			p.at = map[string]int{}
		}
		p.at[key] = len(p.Members)
		p.Members = append(p.Members, m)
	}
}

// Lines is a line for each shape; what says what became of the member.
func (p *PassedOver) Lines(what string) []string {
	var out []string
	for _, m := range p.Members {
		line := (&Error{Pos: m.Pos, Message: m.Pointer + ": " + what}).Text()
		if m.Count > 1 {
			line += fmt.Sprintf(", and %d more like it", m.Count-1)
		}
		out = append(out, line)
	}
	if p.More > 0 {
		out = append(out, fmt.Sprintf("and %d more members %s", p.More, what))
	}
	return out
}

// shapeOf is a JSON pointer without the places in lists.
func shapeOf(pointer string) string {
	tokens := strings.Split(pointer, "/")
	for i, token := range tokens {
		if token != "" && strings.Trim(token, "0123456789") == "" {
			tokens[i] = "0"
		}
	}
	return strings.Join(tokens, "/")
}
