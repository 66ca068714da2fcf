# METADATA
# custom:
#   plainid:
#     policyId: cert-write-live
#     name: Editors write live records
#     accessType: Allow
#     policyUse: DYNAMIC_AUTHORIZATION_SERVICE
#     applications: 
#       - id: records-app
package policy
import rego.v1

# METADATA
# custom:
#   plainid:
#     kind: DynamicGroup
#     name: Editors
#     id: c6b263d9-25b2-59a8-9a5e-5c3849ba2139
dynamic_group(identity) if {
	identity.template == "user"
	identity["team"] == "editors"
}

# METADATA
# custom:
#   plainid:
#     kind: Ruleset
#     name: Live records
#     id: 2935b2ff-43a6-5ab6-853a-c29fd5e8a5fc
ruleset(asset, identity, requestParams, action) if {
	asset.template == "record"
	asset["status"] == "active"
	action.id in ["write"]
}
