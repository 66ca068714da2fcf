# METADATA
# custom:
#   plainid:
#     policyId: ledger-controllers
#     name: Controllers read and export their cost centres
#     description: "Payroll is left out."
#     accessType: Allow
#     policyUse: DYNAMIC_AUTHORIZATION_SERVICE
#     sourceEnvironmentId: 5e7d0c1a-9b3f-4a57-8c21-0d6f5b8e4a10
#     applications: 
#       - id: general-ledger
#     customAttributes:
#       owner: "Group Finance"
#       controls: ["SOX-404"]
#       reviewMonths: 3
package policy
import rego.v1

# METADATA
# custom:
#   plainid:
#     kind: DynamicGroup
#     name: Controllers
#     id: 8ee1db97-a4c1-5348-84a5-6e3fe563e5e9
dynamic_group(identity) if {
	identity.template == "Staff"
	contains(identity["jobTitle"], "Controller")
}

# METADATA
# custom:
#   plainid:
#     kind: Ruleset
#     name: Rows of the own cost centres
#     id: ffb311ce-ce41-549e-a30e-0b414d97b3f8
ruleset(asset, identity, requestParams, action) if {
	asset.template == "LedgerRows"
	identity.template == "Staff"
	asset["costCentre"] == identity["costCentres"]
	asset["ledger"] != "payroll"
	action.id in ["Export","Read"]
}