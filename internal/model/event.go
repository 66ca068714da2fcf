package model

import "time"

// Actions of administration audit events (management-api.md 14.1).
const (
	EventCreate      = "CREATE"
	EventUpdate      = "UPDATE"
	EventDelete      = "DELETE"
	EventLogin       = "LOGIN"
	EventLoginFailed = "LOGIN_FAILED"
	EventApply       = "APPLY"
	EventInvalidate  = "INVALIDATE"
)

// ChangeEvent is one administration audit event: who did what to which object, when and from where. It is written in
// the same commit as its change. Before and After are exported forms without secrets; empty when they do not apply.
type ChangeEvent struct {
	ID            string // uuid
	Time          time.Time
	Action        string
	ResourceType  string // ROLE (a policy), SCOPE, ASSET_TEMPLATE, … (management-api.md 14.1)
	ResourceID    string
	ResourceName  string
	ParentType    string
	ParentID      string
	EnvironmentID EnvironmentID // "" = tenant
	ClientID      ClientID      // the credential that acted
	ClientIP      string
	RequestID     string
	Revision      Revision
	Before, After string
}
