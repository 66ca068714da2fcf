# METADATA
# custom:
#   plainid:
#     policyId: branch-managers
#     name: Branch managers run their branch
#     description: "Every account of the branch, from opening to closing."
#     accessType: Allow
#     policyUse: DYNAMIC_AUTHORIZATION_SERVICE
#     sourceEnvironmentId: 5e7d0c1a-9b3f-4a57-8c21-0d6f5b8e4a10
#     applications: 
#       - id: branch-portal
#     customAttributes:
#       owner: "Retail Operations"
#       controls: ["ICT-09"]
#       reviewMonths: 12
package policy
import rego.v1

# METADATA
# custom:
#   plainid:
#     kind: DynamicGroup
#     name: Branch managers
#     id: 1e2187e2-1d0b-5372-af26-3ee0bed62e07
dynamic_group(identity) if {
	identity.template == "Staff"
	identity["jobTitle"] == "Branch Manager"
	identity["grade"] > 5
}

# METADATA
# custom:
#   plainid:
#     kind: Ruleset
#     name: All accounts of the own branch
#     id: 89e6f8b0-709a-590c-9cfd-68d2541f6fb7
ruleset(asset, identity, requestParams, action) if {
	asset.template == "Accounts"
	identity.template == "Staff"
	asset["branch"] == identity["branch"]
}