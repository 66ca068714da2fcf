package rego

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/ambit-authz/ambit/internal/model"
)

// form is the fixed part of an error or warning of policy-model.md 7. Every %s is one <…> part of its text.
type form struct{ name, text string }

// forms is never written to.
var forms = map[string]form{
	"RG-001": {"RegoSyntaxError", "unexpected %s, expected %s"},
	"RG-002": {"RegoEncodingError", "the text is not valid UTF-8"},
	"RG-003": {"RegoTooLargeError", "the module has %s bytes, the limit is %s"},
	"RG-004": {"RegoUnsupportedError", "%s is not part of Structured Rego"},
	"RG-005": {"RegoPackageError", `package must be "%s", found "%s"`},
	"RG-006": {"RegoImportError", `import of "%s" is not allowed`},
	"RG-007": {"RegoStyleError", `"if" is missing before "{"`},
	"RG-101": {"MetadataMissingError", "%s has no METADATA block"},
	"RG-102": {"MetadataYamlError", "metadata: %s"},
	"RG-103": {"MetadataKeyMissingError", `metadata key "%s" is missing`},
	"RG-104": {"MetadataKindError", `kind "%s" is not known`},
	"RG-105": {"MetadataKindMismatchError", `kind "%s" does not fit function "%s"`},
	"RG-106": {"MetadataLengthError", `"%s" has %s characters, the limit is %s`},
	"RG-107": {"AccessTypeError", `accessType "%s" must be Allow or Restrict`},
	"RG-108": {"BlockIdError", `id "%s" is not a uuid`},
	"RG-109": {"BlockIdConflictError", `id "%s" is used by a %s and a %s`},
	"RG-110": {"CustomAttributeNotFoundError", `custom attribute "%s" is not defined`},
	"RG-111": {"CustomAttributeValueError", `custom attribute "%s": %s`},
	"RG-112": {"PolicyUseError", `policyUse "%s" is not offered`},
	"RG-201": {"TemplateLineMissingError", `%s needs a line %s.template == "…"`},
	"RG-202": {"LineRepeatedError", "%s stands more than once"},
	"RG-203": {"IdentityTemplateMissingError", `identity attributes need a line identity.template == "…"`},
	"RG-204": {"WrongSideError", "the left side must be an attribute of %s"},
	"RG-205": {"NameNotInScopeError", `"%s" is not an argument of %s`},
	"RG-206": {"OperatorTypeError", `operator "%s" cannot be used on %s attribute "%s"`},
	"RG-207": {"NegationError", `"not" is allowed only before %s; write != instead`},
	"RG-208": {"EmptyListError", "the list is empty"},
	"RG-209": {"LiteralTypeError", `attribute "%s" is STRING; write the value in quotes`},
	"RG-210": {"NumberError", `"%s" is not a number; attribute "%s" is NUMERIC`},
	"RG-211": {"ActionsDifferError", `the branches of ruleset "%s" name different actions`},
	"RG-212": {"ActionBlockUnusedError", `no ruleset uses asset template "%s"`},
	"RG-213": {"RuleMissingError", "the condition restricts nothing"},
	"RG-214": {"CidrError", `"%s" is not an address block`},
	"RG-215": {"ZoneError", `"%s" is not a time zone`},
	"RG-216": {"TimeError", "%s is not a %s"},
	"RG-217": {"ZoneDiffersError", "a branch uses one time zone"},
	"RG-218": {"ValueLengthError", "a value has %s characters, the limit is %s"},
	"RG-219": {"IpFormsMixedError", "allow and restrict lines cannot stand in one condition"},
	"RG-220": {"IpRestrictBranchesError", "the restrict lines of one condition stand in one branch"},
	"RG-301": {"IdentityTemplateNotFoundError", `identity template "%s" does not exist`},
	"RG-302": {"AssetTemplateNotFoundError", `asset template "%s" does not exist`},
	"RG-303": {"IdentityAttributeNotFoundError", `identity template "%s" has no attribute "%s"`},
	"RG-304": {"AssetAttributeNotFoundError", `asset template "%s" has no attribute "%s"`},
	"RG-305": {"ActionNotFoundError", `asset template "%s" has no action "%s"`},
	"RG-306": {"CalculatedAttributeError", `attribute "%s" is calculated; rules on it are not offered: %s`},
	"RG-307": {"WorkspaceMismatchError", `asset template "%s" belongs to another authorization workspace`},
	"RG-308": {"PolicyWorkspaceError", `policy "%s" belongs to another authorization workspace`},
	"RG-401": {"NoDynamicGroupError", "the policy has no dynamic group"},
	"RG-402": {"NoRulesetError", "the policy has no ruleset"},
	"RG-403": {"TooManyBlocksError", "%s %s blocks, the limit is %s"},
	"RG-404": {"BlockWorkspaceError", "a %s cannot be imported into %s workspace"},
	"RG-405": {"PredefinedBlockError", `"%s" is predefined and cannot be changed`},

	"RW-01": {"AttributeNotAvailableWarning", `attribute "%s" is not marked as available for policies`},
	"RW-02": {"RequestAttributeWarning", `request attribute "%s" is not declared`},
	"RW-03": {"ApplicationNotFoundWarning", `application "%s" is not known`},
	"RW-04": {"PolicyIncompleteWarning", `asset template "%s" is in no application`},
	"RW-05": {"MetadataIgnoredWarning", "%s is ignored"},
	"RW-06": {"BlockNameWarning", `id "%s" has two names, "%s" counts`},
	"RW-07": {"HostBitsWarning", `the address block "%s" has host bits, they are ignored`},
	"RW-08": {"BranchNeverHoldsWarning", `no dynamic group of the policy is of identity template "%s", this branch can never hold`},
	"RW-09": {"ActionLineIgnoredWarning", "the action line is ignored in building blocks"},
}

// Fault makes the error or warning of a code of policy-model.md 7, with parts as the <…> of its text in order, for the
// checks that other packages make (RG-308, RG-405 and the like). An unknown code or too few parts is a programming
// error and gives an error of kind KindInternal.
func Fault(code string, at model.Position, parts ...string) *model.Error {
	f, ok := forms[code]
	if !ok {
		return &model.Error{Op: "rego.Fault", Message: "no such code: " + code}
	}
	values := make([]any, len(parts))
	for i, p := range parts {
		values[i] = p
	}
	e := &model.Error{Kind: model.KindInvalid, Code: code, Name: f.name, Message: fmt.Sprintf(f.text, values...), Pos: at}
	e.Args = append([]string{strconv.Itoa(at.Line), strconv.Itoa(at.Column)}, parts...)
	switch code {
	case "RG-003":
		e.Kind = model.KindTooLarge
	case "RG-112", "RG-306":
		e.Kind = model.KindNotOffered
	}
	return e
}

// report collects errors and warnings.
type report struct {
	file     string
	errors   model.Errors
	warnings model.Errors
	hints    int
}

// fault adds an error.
func (r *report) fault(code string, at position, parts ...string) {
	r.errors = add(r.errors, Fault(code, r.place(at), parts...), limitErrors)
}

func (r *report) warn(code string, at position, parts ...string) {
	r.warnings = add(r.warnings, Fault(code, r.place(at), parts...), limitWarnings)
}

// hinted is fault with `, did you mean "…"?` when one of known is near to the last part. Looking for it takes long, so
// that it is not done for thousands of errors that nobody will see.
func (r *report) hinted(known []string, code string, at position, parts ...string) {
	e := Fault(code, r.place(at), parts...)
	if r.hints++; r.hints <= 10*limitErrors {
		if hint := nearest(parts[len(parts)-1], known); hint != "" {
			e.Message += fmt.Sprintf(`, did you mean "%s"?`, hint)
			e.Args = append(e.Args, hint)
		}
	}
	r.errors = add(r.errors, e, limitErrors)
}

// tooMany is RG-403 for whatever has a limit but no code of its own: the text has the same shape.
func (r *report) tooMany(at position, n int, what string, limit int) {
	e := Fault("RG-403", r.place(at), strconv.Itoa(n), what, strconv.Itoa(limit))
	e.Message = fmt.Sprintf("%d %s, the limit is %d", n, what, limit)
	r.errors = add(r.errors, e, limitErrors)
}

// add appends e. The list is trimmed now and then, so that a large text of nonsense costs no memory: only the first keep
// by position are wanted.
func add(list model.Errors, e *model.Error, keep int) model.Errors {
	list = append(list, e)
	if len(list) < 10*keep {
		return list
	}
	list.Sort()
	return list[:keep]
}

func (r *report) place(at position) model.Position {
	return model.Position{File: r.file, Line: int(at.line), Column: int(at.column)}
}

// result sorts both lists and cuts them to their limits.
func (r *report) result() (errs, warnings model.Errors) {
	r.errors.Sort()
	r.warnings.Sort()
	return r.errors[:min(len(r.errors), limitErrors)], r.warnings[:min(len(r.warnings), limitWarnings)]
}

// nearest gives the one id within two edits of name, or "" when there is none or more than one.
func nearest(name string, ids []string) string {
	found := ""
	for _, id := range ids {
		if id == name || edits([]rune(name), []rune(id)) > 2 {
			continue
		}
		if found != "" {
			return ""
		}
		found = id
	}
	return found
}

// edits is the Levenshtein distance of a and b, or any number above 2 when it is above 2.
func edits(a, b []rune) int {
	if d := len(a) - len(b); d > 2 || d < -2 {
		return 3
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i, x := range a {
		diagonal := row[0]
		row[0] = i + 1
		for j, y := range b {
			cost := diagonal
			if x != y {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
		if slices.Min(row) > 2 {
			return 3
		}
	}
	return row[len(b)]
}
