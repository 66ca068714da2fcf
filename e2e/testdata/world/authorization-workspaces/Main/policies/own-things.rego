# METADATA
# custom:
#   plainid:
#     policyId: own-things
#     name: Things of the own team
#     description: ""
#     accessType: Allow
#     policyUse: DYNAMIC_AUTHORIZATION_SERVICE
#     applications: 
#       - id: workshop
package policy
import rego.v1

# METADATA
# custom:
#   plainid:
#     kind: DynamicGroup
#     name: Everybody with a team
dynamic_group(identity) if {
	identity.template == "Person"
	identity["team"] != "none"
}

# METADATA
# custom:
#   plainid:
#     kind: Ruleset
#     name: Own things
ruleset(asset, identity, requestParams, action) if {
	asset.template == "Things"
	identity.template == "Person"
	asset["team"] == identity["team"]
	action.id in ["Use"]
}
