# METADATA
# custom:
#   plainid:
#     policyId: audit-cases
#     name: Auditors read what their cases need
#     description: "Accounts and documents that are named in one of the auditor's cases, after the yearly training."
#     accessType: Allow
#     policyUse: DYNAMIC_AUTHORIZATION_SERVICE
#     sourceEnvironmentId: 5e7d0c1a-9b3f-4a57-8c21-0d6f5b8e4a10
#     applications: 
#       - id: branch-portal
#       - id: document-archive
#     customAttributes:
#       owner: "Internal Audit"
#       controls: ["ICT-04","GDPR-32"]
#       reviewMonths: 3
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
#     name: Accounts in the own audit cases
#     id: 7bf4a1a2-beb1-58e8-9f64-07be73ec88d5
ruleset(asset, identity, requestParams, action) if {
	asset.template == "Accounts"
	identity.template == "Staff"
	asset["auditCases"] == identity["auditCases"]
	action.id in ["View"]
}

# METADATA
# custom:
#   plainid:
#     kind: Ruleset
#     name: Documents in the own audit cases
#     id: f8bfd50f-0649-513f-baab-22666a9480aa
ruleset(asset, identity, requestParams, action) if {
	asset.template == "Documents"
	identity.template == "Staff"
	asset["auditCases"] == identity["auditCases"]
	action.id in ["Download","Read"]
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