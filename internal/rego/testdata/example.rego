# METADATA
# custom:
#   plainid:
#     policyId: quay_days
#     name: Quay days = heavy cargo
#     description: "Senior crew loads heavy cargo and that of its own port."
#     accessType: Allow
#     policyUse: DYNAMIC_AUTHORIZATION_SERVICE
#     sourceEnvironmentId: 5b0c9d52-0f5e-4a77-9c1e-3d0a6f2b8e41
#     applications: 
#       - id: harbour-app
#     customAttributes:
#       costCentre: ["Q-11","Q-12"]
#       reviewer: "harbour board"
package policy
import rego.v1

# METADATA
# custom:
#   plainid:
#     kind: DynamicGroup
#     name: Senior crew
#     id: 0d7c3b1e-51a4-4a0e-8c2d-7e6f5a4b3c21
dynamic_group(identity) if {
	identity.template == "Crew"
	identity["rank"] >= 4
	not identity["cert"] in ["expired", "revoked"]
}

# METADATA
# custom:
#   plainid:
#     kind: Ruleset
#     name: Heavy or own berth
#     id: 2f9a6c40-8f57-4c6b-9a11-0b1c2d3e4f50
ruleset(asset, identity, requestParams, action) if {
	asset.template == "Cargo"
	asset["tonnes"] > 20
	action.id in ["Load","View"]
}

# METADATA
# custom:
#   plainid:
#     kind: Ruleset
#     name: Heavy or own berth
#     id: 2f9a6c40-8f57-4c6b-9a11-0b1c2d3e4f50
ruleset(asset, identity, requestParams, action) if {
	asset.template == "Cargo"
	identity.template == "Crew"
	asset["berth"] == identity["port"]
	startswith(asset["path"], "quay/")
	action.id in ["Load","View"]
}

# METADATA
# custom:
#   plainid:
#     kind: Condition
#     name: Office hours
#     id: 6a1d0f3c-2b4e-4d5a-9e8f-1c2b3a495867
condition(env) if {
	time.weekday([env.time, "Europe/Lisbon"]) in ["Monday","Tuesday"]
	time.clock([env.time, "Europe/Lisbon"]) >= [9,0,0]
	time.clock([env.time, "Europe/Lisbon"]) <= [17,30,0]
	time.date([env.time, "Europe/Lisbon"])[1] in [1,2,3]
	time.date([env.time, "Europe/Lisbon"]) >= [2026,1,1]
}

# METADATA
# custom:
#   plainid:
#     kind: Condition IP
#     name: Outside the guest net
#     id: 8e7d6c5b-4a39-4281-b706-f5e4d3c2b1a0
condition_ip(env) if {
	not net.cidr_contains("198.51.100.0/24", env.sourceIp)
	not net.cidr_contains("203.0.113.0/24", env.sourceIp)
}