package client

import (
	"context"
	"errors"
)

// Decision is the answer to Permit. The zero value permits nothing.
type Decision struct {
	Meta
	// Permitted says that every resource asked about is allowed.
	Permitted bool
	// Allowed, Denied and NotApplicable are the verdicts on each, in the order of the question. Of a resource without action
	// there is one for each action of its type.
	Allowed, Denied, NotApplicable []Verdict
}

// Verdict is that on one action on one asset.
type Verdict struct {
	Type, Path, Action string
	// Reason says why it is not allowed: PID001 to PID008 (runtime-api.md 9.4).
	Reason string
	// Policy and PolicyID are those of the first policy that allows it, when asked for.
	Policy, PolicyID string
	// Attributes are those of an allowed asset, when asked for.
	Attributes map[string][]string
}

// Allows says whether an action on an asset was asked about and allowed, however it was asked about.
func (d *Decision) Allows(assetType, path, action string) bool {
	if d == nil {
		return false
	}
	return among(d.Allowed, assetType, path, action) && !among(d.Denied, assetType, path, action) && !among(d.NotApplicable, assetType, path, action)
}

func among(list []Verdict, assetType, path, action string) bool {
	for _, v := range list {
		if v.Type == assetType && v.Path == path && v.Action == action {
			return true
		}
	}
	return false
}

type permitRequest struct {
	asking
	told
	Details bool            `json:"includeDetails"`
	Reasons bool            `json:"includeDenyReason"`
	Types   []permitOfAType `json:"listOfResources"`
}

type permitOfAType struct {
	Type      string            `json:"resourceType"`
	Resources []permitOfAnAsset `json:"resources"`
}

type permitOfAnAsset struct {
	Path       string              `json:"path,omitempty"`
	Action     string              `json:"action,omitempty"`
	Attributes map[string][]string `json:"assetAttributes,omitempty"`
}

// Permit asks whether the identity may use all of the resources, at least one (runtime-api.md 9). An answer that is not
// about exactly these is an error.
func (c *Client) Permit(ctx context.Context, q Query, resources ...Resource) (*Decision, error) {
	if err := errors.Join(q.identified(), q.unlisted()); err != nil {
		return nil, err
	}
	if len(resources) == 0 {
		return nil, errors.New("ambit: Permit was asked about nothing")
	}
	request := permitRequest{asking: q.asking(), told: q.told(), Details: true, Reasons: true}
	for _, r := range resources {
		if r.Type == "" {
			return nil, errors.New("ambit: a resource has no type")
		}
		if n := len(request.Types); n == 0 || request.Types[n-1].Type != r.Type {
			request.Types = append(request.Types, permitOfAType{Type: r.Type})
		}
		last := &request.Types[len(request.Types)-1]
		last.Resources = append(last.Resources, permitOfAnAsset{Path: r.Path, Action: r.Action, Attributes: r.Attributes})
	}
	d := &Decision{}
	err := c.ask(ctx, question{path: "permit-deny/v3", query: &q, request: request}, func(m Meta, r reader) error {
		d.Meta = m
		if err := r.decision(d); err != nil {
			return err
		}
		return d.check(resources)
	})
	if err != nil {
		return nil, err
	}
	return d, nil
}

func (r reader) decision(d *Decision) error {
	answers, result := 0, ""
	err := r.object(func(name string) (err error) {
		switch name {
		case "result":
			result, err = r.text()
		case "response":
			err = r.array(func() error {
				answers++
				return r.verdicts(d)
			})
		default:
			err = r.skip()
		}
		return err
	})
	switch {
	case err != nil:
		return err
	case answers != 1:
		return malformed("%d lists of verdicts", answers)
	case result != "PERMIT" && result != "DENY":
		return malformed("a result that is neither PERMIT nor DENY")
	}
	d.Permitted = result == "PERMIT"
	return nil
}

func (r reader) verdicts(d *Decision) error {
	lists := map[string]*[]Verdict{"allowed": &d.Allowed, "denied": &d.Denied, "not_applicable": &d.NotApplicable}
	err := r.object(func(name string) error {
		list := lists[name]
		if list == nil {
			return r.skip()
		}
		delete(lists, name)
		return r.array(func() error {
			v, err := r.verdict()
			*list = append(*list, v)
			return err
		})
	})
	if err == nil && len(lists) > 0 {
		err = malformed("a list of verdicts is missing")
	}
	return err
}

func (r reader) verdict() (Verdict, error) {
	var v Verdict
	err := r.object(func(name string) (err error) {
		switch name {
		case "template":
			v.Type, err = r.text()
		case "path":
			v.Path, err = r.text()
		case "action":
			v.Action, err = r.text()
		case "reason":
			v.Reason, err = r.text()
		case "permission":
			v.Policy, err = r.text()
		case "permissionId":
			v.PolicyID, err = r.text()
		case "attributes":
			v.Attributes, err = r.values()
		default:
			err = r.skip()
		}
		return err
	})
	return v, err
}

// check compares the verdicts with what was asked, and the result with the verdicts.
func (d *Decision) check(resources []Resource) error {
	type key struct{ assetType, path, action string }
	due := map[key]int{}  // verdicts on named actions that are still missing
	all := map[key]bool{} // of resources without action: whether there was a verdict
	for _, r := range resources {
		if r.Action != "" {
			due[key{r.Type, r.Path, r.Action}]++
		} else {
			all[key{r.Type, r.Path, ""}] = false
		}
	}
	for _, list := range [][]Verdict{d.Allowed, d.Denied, d.NotApplicable} {
		for _, v := range list {
			named, whole := key{v.Type, v.Path, v.Action}, key{v.Type, v.Path, ""}
			if n := due[named]; n > 1 {
				due[named]--
			} else if n == 1 {
				delete(due, named)
			} else if _, asked := all[whole]; asked {
				all[whole] = true
			} else {
				return malformed("a verdict that was not asked for")
			}
		}
	}
	for _, answered := range all {
		if !answered {
			return malformed("a verdict is missing")
		}
	}
	if len(due) > 0 {
		return malformed("a verdict is missing")
	}
	if d.Permitted != (len(d.Denied)+len(d.NotApplicable) == 0) {
		return malformed("a result that its verdicts contradict")
	}
	return nil
}
