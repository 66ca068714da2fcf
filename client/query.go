package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Query is who asks, from where and when, and for lists of what. The zero value of each field leaves it out.
type Query struct {
	// Identity is who asks; Additional are identities that have to be allowed as well, such as the device (at most three
	// in all, each of another template; runtime-api.md 5.5).
	Identity   Identity
	Additional []Identity
	// RemoteIP is the user's address, for conditions. Without it the server takes that of this program.
	RemoteIP string
	// TimeZoneOffset is the user's zone in hours from UTC, for conditions.
	TimeZoneOffset float64
	// Environment holds request attributes (runtime-api.md 6.3).
	Environment map[string][]string
	// CombinedMultiValue judges each row of an identity by itself (runtime-api.md 7).
	CombinedMultiValue bool

	// Types are the asset types that AccessList, Entries and Filter look through; none means all.
	Types []ResourceType
	// Assets, unless nil, are the only assets that can come back from AccessList, Entries and Filter. Policies are asked
	// about these.
	Assets []Asset

	// Attributes asks for the attributes of what is listed, and Policies for the granting policies.
	Attributes, Policies bool

	// MinRevision is the oldest revision of the environment that may answer, such as that of a write which has to be seen;
	// 0 means whatever the server has. MaxWait is how long the server waits for it; 0 leaves it to the server.
	MinRevision uint64
	MaxWait     time.Duration
	// RequestID is a correlation id for the server's records.
	RequestID string
}

// Identity is a user, service or device.
type Identity struct {
	// ID and Template are entityId and entityTypeId. Template may be left out where the environment has only one, and both
	// where Token identifies.
	ID       string `json:"entityId,omitempty"`
	Template string `json:"entityTypeId,omitempty"`
	// Attributes and Context are values of attributes that may be sent with requests (runtime-api.md 5.3).
	Attributes map[string][]string `json:"entityAttributes,omitempty"`
	Context    map[string][]string `json:"contextData,omitempty"`
	// Token is the user's JWT, for servers that identify by it. It travels in Authorization, or as it is in TokenHeader.
	// Only the Identity of a Query has one.
	Token       string `json:"-"`
	TokenHeader string `json:"-"`
}

// String shows the identity without its token.
func (i Identity) String() string {
	text := fmt.Sprintf("{ID:%s Template:%s Attributes:%v Context:%v", i.ID, i.Template, i.Attributes, i.Context)
	if i.Token != "" {
		text += " Token:[redacted]"
	}
	return text + "}"
}

// Format prints String whatever the verb.
func (i Identity) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, i.String()) }

// ResourceType selects an asset type of a list (runtime-api.md 8.3).
type ResourceType struct {
	Name string `json:"name"`
	// Attributes are those that come back where Query.Attributes asks for any; of none, only name and path do. A leading
	// "-" leaves one out.
	Attributes []string `json:"attributeList,omitempty"`
	// Actions are those that count; none means all.
	Actions []string `json:"actions,omitempty"`
}

// Asset is one asset, or with no path all of a type. Attributes are values of attributes that may be sent.
type Asset struct {
	Type       string              `json:"template"`
	Path       string              `json:"path,omitempty"`
	Attributes map[string][]string `json:"assetAttributes,omitempty"`
}

// Resource is an action on an asset. With no Action every action of the type is meant, with no Path the type as a whole
// (runtime-api.md 9.2).
type Resource struct {
	Type, Path, Action string
	// Attributes are values of the asset, for types that take them from the request.
	Attributes map[string][]string
}

// situation is the part of a request that all questions share.
type situation struct {
	RemoteIP           string              `json:"remoteIp,omitempty"`
	TimeZoneOffset     float64             `json:"timeZoneOffset,omitzero"`
	Environment        map[string][]string `json:"environment,omitempty"`
	CombinedMultiValue bool                `json:"combinedMultiValue,omitzero"`
}

func (q *Query) situation() situation {
	return situation{RemoteIP: q.RemoteIP, TimeZoneOffset: q.TimeZoneOffset, Environment: q.Environment, CombinedMultiValue: q.CombinedMultiValue}
}

// asking is the part of a request that says who asks.
type asking struct {
	Identity
	situation
	Additional []Identity `json:"additionalIdentities,omitempty"`
}

func (q *Query) asking() asking {
	return asking{Identity: q.Identity, situation: q.situation(), Additional: q.Additional}
}

// told is the part of a request that says how much is told.
type told struct {
	Attributes bool `json:"includeAssetAttributes"`
	Policy     bool `json:"includeAccessPolicy"`
	PolicyID   bool `json:"includeAccessPolicyId"`
}

func (q *Query) told() told {
	return told{Attributes: q.Attributes, Policy: q.Policies, PolicyID: q.Policies}
}

type listRequest struct {
	asking
	told
	Types  []ResourceType `json:"resourceTypes,omitempty"`
	Assets []Asset        `json:"assetList,omitzero"` // an empty one names no asset, and so is sent
}

func (q *Query) list() (listRequest, error) {
	if err := q.identified(); err != nil {
		return listRequest{}, err
	}
	seen := map[[2]string]bool{}
	for _, a := range q.Assets {
		key := [2]string{a.Type, a.Path}
		if seen[key] && a.Path != "" {
			return listRequest{}, errors.New("ambit: an asset stands twice in Assets")
		}
		seen[key] = true
	}
	return listRequest{asking: q.asking(), told: q.told(), Types: q.Types, Assets: q.Assets}, nil
}

// ErrNoIdentity is the error of a Query that says of nobody who asks, and what the function of a Gate returns, also
// wrapped, for a request that nobody is signed in for.
var ErrNoIdentity = errors.New("ambit: no identity")

// identified refuses a question without identity. The server could answer it for the application itself, if that signs in
// with a token, or for the additional identities alone.
func (q *Query) identified() error {
	if q.Identity.ID == "" && q.Identity.Token == "" {
		return ErrNoIdentity
	}
	for _, i := range q.Additional {
		if i.ID == "" {
			return ErrNoIdentity
		}
		if i.Token != "" || i.TokenHeader != "" {
			return errors.New("ambit: only Identity has a token")
		}
	}
	return nil
}

// unlisted refuses what a question about given resources would pass over.
func (q *Query) unlisted() error {
	if q.Types != nil || q.Assets != nil {
		return errors.New("ambit: this question has no Types and Assets")
	}
	return nil
}

// encode writes a request. Texts that are no UTF-8 are refused: encoding/json would ask about another thing.
func encode(request any) ([]byte, error) {
	body, err := json.Marshal(request)
	if err == nil && bytes.Contains(body, []byte(`\ufffd`)) {
		err = errors.New("a text is no UTF-8")
	}
	return body, err
}
