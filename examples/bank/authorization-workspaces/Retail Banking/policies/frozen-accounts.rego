# METADATA
# custom:
#   plainid:
#     policyId: frozen-accounts
#     name: Frozen accounts do not change
#     description: "Frozen and closed accounts can be looked at only, by whomever."
#     accessType: Restrict
#     policyUse: DYNAMIC_AUTHORIZATION_SERVICE
#     sourceEnvironmentId: 5e7d0c1a-9b3f-4a57-8c21-0d6f5b8e4a10
#     applications: 
#       - id: branch-portal
#     customAttributes:
#       owner: "Legal"
#       controls: ["ICT-09"]
package policy
import rego.v1

# METADATA
# custom:
#   plainid:
#     kind: DynamicGroup
#     name: Staff All Users
#     id: 8bde3266-9151-5d06-80cb-3974035b8606
dynamic_group(identity) if {
	identity.template == "Staff"
}

# METADATA
# custom:
#   plainid:
#     kind: Ruleset
#     name: Frozen or closed accounts
#     id: 76711089-1a25-5c64-ba6e-a5daf3171a38
ruleset(asset, identity, requestParams, action) if {
	asset.template == "Accounts"
	asset["status"] in ["frozen", "closed"]
	action.id in ["BlockCard","CloseAccount","Update"]
}