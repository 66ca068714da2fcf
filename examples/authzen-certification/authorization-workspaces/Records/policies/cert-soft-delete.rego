# METADATA
# custom:
#   plainid:
#     policyId: cert-soft-delete
#     name: Editors delete softly
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
#     name: Records to delete
#     id: 639f09b4-c927-5cd0-a872-aeed92fa6193
ruleset(asset, identity, requestParams, action) if {
	asset.template == "record"
	action.id in ["delete"]
}

# METADATA
# custom:
#   plainid:
#     kind: Condition Request
#     name: Soft only
#     id: 2e071fd9-de85-58a8-94f0-52f18c3407d4
condition_request(requestParams) if {
	requestParams["action.soft"] == "true"
}
