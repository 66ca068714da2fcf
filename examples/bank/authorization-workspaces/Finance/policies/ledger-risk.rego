# METADATA
# custom:
#   plainid:
#     policyId: ledger-risk
#     name: Group risk reads the whole ledger
#     description: "All rows of all ledgers."
#     accessType: Allow
#     policyUse: DYNAMIC_AUTHORIZATION_SERVICE
#     sourceEnvironmentId: 5e7d0c1a-9b3f-4a57-8c21-0d6f5b8e4a10
#     applications: 
#       - id: general-ledger
#     customAttributes:
#       owner: "Group Risk"
#       controls: ["SOX-404"]
package policy
import rego.v1

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
#     name: All
#     id: 066d304d-dff3-5a18-b445-49900432ec73
ruleset(asset, identity, requestParams, action) if {
	asset.template == "LedgerRows"
	action.id in ["Export","Read"]
}