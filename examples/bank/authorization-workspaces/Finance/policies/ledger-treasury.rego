# METADATA
# custom:
#   plainid:
#     policyId: ledger-treasury
#     name: Treasury reads its postings
#     description: "Large postings in hard currency, and everything about foreign exchange."
#     accessType: Allow
#     policyUse: DYNAMIC_AUTHORIZATION_SERVICE
#     sourceEnvironmentId: 5e7d0c1a-9b3f-4a57-8c21-0d6f5b8e4a10
#     applications: 
#       - id: general-ledger
#     customAttributes:
#       owner: "Treasury"
#       controls: ["SOX-404"]
package policy
import rego.v1

# METADATA
# custom:
#   plainid:
#     kind: DynamicGroup
#     name: Treasury
#     id: 5db95b33-0ec8-594a-8119-0d65d3baa9cf
dynamic_group(identity) if {
	identity.template == "Staff"
	identity["department"] == "Treasury"
}

# METADATA
# custom:
#   plainid:
#     kind: Ruleset
#     name: Treasury postings in hard currency
#     id: 02146766-5ee2-52fb-a28f-75b193edcb71
ruleset(asset, identity, requestParams, action) if {
	asset.template == "LedgerRows"
	asset["ledger"] == "treasury"
	asset["currency"] in ["EUR", "GBP", "USD"]
	asset["amount"] > 100000
	action.id in ["Read"]
}

# METADATA
# custom:
#   plainid:
#     kind: Ruleset
#     name: Treasury postings in hard currency
#     id: 02146766-5ee2-52fb-a28f-75b193edcb71
ruleset(asset, identity, requestParams, action) if {
	asset.template == "LedgerRows"
	asset["ledger"] == "treasury"
	startswith(asset["postingText"], "FX ")
	action.id in ["Read"]
}