# METADATA
# custom:
#   plainid:
#     policyId: regional-directors
#     name: Regional directors see larger clients
#     description: "Business and private clients of the region up to the director's own approval limit."
#     accessType: Allow
#     policyUse: DYNAMIC_AUTHORIZATION_SERVICE
#     sourceEnvironmentId: 5e7d0c1a-9b3f-4a57-8c21-0d6f5b8e4a10
#     applications: 
#       - id: branch-portal
#     customAttributes:
#       owner: "Retail Operations"
#       reviewMonths: 12
package policy
import rego.v1

# METADATA
# custom:
#   plainid:
#     kind: DynamicGroup
#     name: Regional directors
#     id: 4c277c4a-71f2-58ac-a1f8-684c507d29d2
dynamic_group(identity) if {
	identity.template == "Staff"
	endswith(identity["jobTitle"], "Director")
	identity["grade"] >= 8
}

# METADATA
# custom:
#   plainid:
#     kind: Ruleset
#     name: Accounts of the region within the approval limit
#     id: cbd600e0-7de2-597f-8999-21a8bb7c86cf
ruleset(asset, identity, requestParams, action) if {
	asset.template == "Accounts"
	identity.template == "Staff"
	asset["region"] == identity["region"]
	asset["balance"] <= identity["approvalLimit"]
	asset["segment"] != "personal"
	asset["segment"] != "student"
	action.id in ["View"]
}