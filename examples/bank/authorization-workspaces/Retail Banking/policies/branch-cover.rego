# METADATA
# custom:
#   plainid:
#     policyId: branch-cover
#     name: Managers look after a second branch
#     description: "A manager on cover duty of level 5 or above also serves the accounts of the branch covered."
#     accessType: Allow
#     policyUse: DYNAMIC_AUTHORIZATION_SERVICE
#     sourceEnvironmentId: 5e7d0c1a-9b3f-4a57-8c21-0d6f5b8e4a10
#     applications: 
#       - id: branch-portal
#     customAttributes:
#       owner: "Retail Operations"
package policy
import rego.v1

# METADATA
# custom:
#   plainid:
#     kind: DynamicGroup
#     name: Managers on cover duty
#     id: d3c4baac-dae8-5338-b98f-4a0aba95d952
dynamic_group(identity) if {
	identity.template == "Staff"
	identity["coverLevel"] >= 5
}

# METADATA
# custom:
#   plainid:
#     kind: Ruleset
#     name: Accounts of the covered branch
#     id: b8d837b4-9027-5b10-b53d-67522da4edb6
ruleset(asset, identity, requestParams, action) if {
	asset.template == "Accounts"
	identity.template == "Staff"
	asset["branch"] == identity["coverBranch"]
	action.id in ["Update","View"]
}