# METADATA
# custom:
#   plainid:
#     policyId: ledger-audit
#     name: Auditors read the ledger rows of their cases
#     description: "Rows that are named in one of the auditor's cases."
#     accessType: Allow
#     policyUse: DYNAMIC_AUTHORIZATION_SERVICE
#     sourceEnvironmentId: 5e7d0c1a-9b3f-4a57-8c21-0d6f5b8e4a10
#     applications: 
#       - id: general-ledger
#     customAttributes:
#       owner: "Internal Audit"
#       controls: ["SOX-404"]
package policy
import rego.v1

# METADATA
# custom:
#   plainid:
#     kind: DynamicGroup
#     name: Internal auditors
#     id: 01c0f89d-2178-5b10-9ae9-0b9cb3e23874
#     description: "Our own auditors and those of the audit firm"
dynamic_group(identity) if {
	identity.template == "Staff"
	identity["department"] == "Internal Audit"
}

# METADATA
# custom:
#   plainid:
#     kind: DynamicGroup
#     name: Internal auditors
#     id: 01c0f89d-2178-5b10-9ae9-0b9cb3e23874
#     description: "Our own auditors and those of the audit firm"
dynamic_group(identity) if {
	identity.template == "Staff"
	identity["roles"] in ["external-auditor"]
}

# METADATA
# custom:
#   plainid:
#     kind: Ruleset
#     name: Ledger rows in the own audit cases
#     id: 55f44c5b-8d0d-508a-8384-de2f9b912aa5
ruleset(asset, identity, requestParams, action) if {
	asset.template == "LedgerRows"
	identity.template == "Staff"
	asset["auditCases"] == identity["auditCases"]
	action.id in ["Read"]
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