package manage

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/agnivade/levenshtein"

	"github.com/ambit-authz/ambit/internal/model"
)

func missingResource(resource, id string) *model.Error {
	e := model.NotFound(resource, id)
	e.Code = "MGT-006"
	return e
}

func alreadyExists(resource, id string) *model.Error {
	return &model.Error{
		Kind: model.KindConflict, Code: "MGT-008", Name: "AlreadyExistsError", Args: []string{resource, id},
		Message: fmt.Sprintf("%s: [%s] already exists", resource, id),
	}
}

// closeTo are the ids that a caller may have meant by id, nearest first: those that differ in a third of their characters
// at most, without regard to case.
func closeTo(id string, ids []string) []string {
	length := utf8.RuneCountInString(id)
	return nearest(id, slices.DeleteFunc(slices.Clone(ids), func(other string) bool {
		longest := max(length, utf8.RuneCountInString(other))
		return longest-min(length, utf8.RuneCountInString(other)) > longest/3 || distance(id, other) > longest/3
	}))
}

const (
	maxHints    = 3   // ids that a hint names
	maxHintedID = 128 // what is longer is no id, and comparing it would take long
)

// nearest are the ids that are nearest to id, whatever their distance.
func nearest(id string, ids []string) []string {
	if len(id) > maxHintedID {
		return nil
	}
	away := make(map[string]int, len(ids))
	for _, other := range ids {
		away[other] = distance(id, other)
	}
	out := slices.SortedFunc(maps.Keys(away), func(a, b string) int { return cmp.Or(away[a]-away[b], cmp.Compare(a, b)) })
	return out[:min(len(out), maxHints)]
}

func distance(a, b string) int {
	if len(a) > maxHintedID || len(b) > maxHintedID {
		return max(len(a), len(b))
	}
	return levenshtein.ComputeDistance(strings.ToLower(a), strings.ToLower(b))
}

// hint is the end of a message about an id that is not there.
func hint(ids []string) string {
	if len(ids) == 0 {
		return ""
	}
	return ", Hint: did you mean [" + strings.Join(ids, ", ") + "]"
}

// inUse is MGT-009: at most 20 of the users are named.
func inUse(resource, id, kind string, users []string) *model.Error {
	slices.Sort(users)
	users = slices.Compact(users)
	shown := users[:min(len(users), 20)]
	return &model.Error{
		Kind: model.KindConflict, Code: "MGT-009", Name: "InUseError",
		Args:    append([]string{resource, id, kind}, shown...),
		Message: fmt.Sprintf("%s: [%s] is used by %s: [%s]", resource, id, kind, strings.Join(shown, ", ")),
	}
}

// NotOffered is MGT-016.
func NotOffered(what string) *model.Error { return notOffered(what) }

func notOffered(what string) *model.Error {
	return &model.Error{
		Kind: model.KindNotOffered, Code: "MGT-016", Name: "NotOfferedError", Args: []string{what},
		Message: what + " is not offered",
	}
}
