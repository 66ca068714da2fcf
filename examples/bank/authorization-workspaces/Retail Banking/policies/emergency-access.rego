# METADATA
# custom:
#   plainid:
#     policyId: emergency-access
#     name: Emergency access to all branch accounts
#     description: "Switched on by the crisis team only."
#     accessType: Allow
#     policyUse: DYNAMIC_AUTHORIZATION_SERVICE
#     sourceEnvironmentId: 5e7d0c1a-9b3f-4a57-8c21-0d6f5b8e4a10
#     applications: 
#       - id: branch-portal
#     customAttributes:
#       owner: "Crisis Team"
#       reviewMonths: 1
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
#     kind: DynamicGroup
#     name: Group risk
#     id: 330bb150-2629-5a38-99fc-068c037f85de
dynamic_group(identity) if {
	identity.template == "Staff"
	identity["jobTitle"] in ["Chief Risk Officer", "Risk Analyst"]
	identity["grade"] >= 7
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

# METADATA
# custom:
#   plainid:
#     kind: Condition Identity
#     name: Data protection training passed
#     id: 43c55d1f-9acc-5fb2-a29a-48948c8fdd7a
condition_identity(identity) if {
	identity.template == "Staff"
	identity["certificates"] in ["data-protection-2026"]
}