# METADATA
# custom:
#   plainid:
#     policyId: ledger-export-outside
#     name: No export from outside the bank
#     description: "Rows leave the ledger only inside our own network."
#     accessType: Restrict
#     policyUse: DYNAMIC_AUTHORIZATION_SERVICE
#     sourceEnvironmentId: 5e7d0c1a-9b3f-4a57-8c21-0d6f5b8e4a10
#     applications: 
#       - id: general-ledger
#     customAttributes:
#       owner: "Information Security"
#       controls: ["ICT-04"]
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
#     name: All
#     id: 066d304d-dff3-5a18-b445-49900432ec73
ruleset(asset, identity, requestParams, action) if {
	asset.template == "LedgerRows"
	action.id in ["Export"]
}

# METADATA
# custom:
#   plainid:
#     kind: Condition IP
#     name: Outside the bank network
#     id: 1154d77c-3b6c-569d-ac02-92f04b4ae6e4
condition_ip(env) if {
	not net.cidr_contains("10.0.0.0/8", env.sourceIp)
	not net.cidr_contains("127.0.0.0/8", env.sourceIp)
	not net.cidr_contains("::1/128", env.sourceIp)
	not net.cidr_contains("2001:db8::/32", env.sourceIp)
}