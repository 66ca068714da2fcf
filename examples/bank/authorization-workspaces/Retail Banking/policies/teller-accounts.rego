# METADATA
# custom:
#   plainid:
#     policyId: teller-accounts
#     name: Tellers serve the accounts of their branch
#     description: "Counter staff sees personal and student accounts of its own branch."
#     accessType: Allow
#     policyUse: DYNAMIC_AUTHORIZATION_SERVICE
#     sourceEnvironmentId: 5e7d0c1a-9b3f-4a57-8c21-0d6f5b8e4a10
#     applications: 
#       - id: branch-portal
#     customAttributes:
#       owner: "Retail Operations"
#       controls: ["ICT-04"]
#       reviewMonths: 12
package policy
import rego.v1

# METADATA
# custom:
#   plainid:
#     kind: DynamicGroup
#     name: Branch tellers
#     id: 9b73734b-19e7-5d82-80ea-156d73c10fa1
#     description: "Permanent staff at the counter"
dynamic_group(identity) if {
	identity.template == "Staff"
	identity["jobTitle"] in ["Teller", "Senior Teller"]
	identity["grade"] >= 2
	identity["employment"] != "contractor"
}

# METADATA
# custom:
#   plainid:
#     kind: Ruleset
#     name: Everyday accounts of the own branch
#     id: b244fd1d-cea8-5552-b980-481a925dee5c
ruleset(asset, identity, requestParams, action) if {
	asset.template == "Accounts"
	identity.template == "Staff"
	asset["branch"] == identity["branch"]
	asset["segment"] in ["personal", "student"]
	action.id in ["View"]
}