# METADATA
# custom:
#   plainid:
#     policyId: night-desk
#     name: The night desk blocks cards
#     description: "Lost cards are blocked at night by the night desk of the country."
#     accessType: Allow
#     policyUse: DYNAMIC_AUTHORIZATION_SERVICE
#     sourceEnvironmentId: 5e7d0c1a-9b3f-4a57-8c21-0d6f5b8e4a10
#     applications: 
#       - id: branch-portal
#     customAttributes:
#       owner: "Card Operations"
#       reviewMonths: 6
package policy
import rego.v1

# METADATA
# custom:
#   plainid:
#     kind: DynamicGroup
#     name: Night desk
#     id: afd9a700-eeff-561a-ae30-e2b0363b8bbe
dynamic_group(identity) if {
	identity.template == "Staff"
	identity["department"] == "Night Desk"
}

# METADATA
# custom:
#   plainid:
#     kind: DynamicGroup
#     name: Night desk
#     id: afd9a700-eeff-561a-ae30-e2b0363b8bbe
dynamic_group(identity) if {
	identity.template == "Staff"
	identity["shift"] == "night"
	identity["roles"] in ["card-operations"]
}

# METADATA
# custom:
#   plainid:
#     kind: Ruleset
#     name: Accounts with a card in use
#     id: dd59a891-540d-5dda-ab03-0b12371f8fb5
ruleset(asset, identity, requestParams, action) if {
	asset.template == "Accounts"
	identity.template == "Staff"
	asset["country"] == identity["country"]
	asset["product"] == "current account"
	asset["status"] == "active"
	action.id in ["BlockCard","View"]
}

# METADATA
# custom:
#   plainid:
#     kind: Condition
#     name: Night shift
#     id: d4712a7d-9203-5006-82e4-b51c74f3f6c8
#     description: "From ten in the evening until six in the morning"
condition(env) if {
	time.weekday([env.time, "Europe/Lisbon"]) in ["Monday","Tuesday","Wednesday","Thursday","Friday"]
	time.clock([env.time, "Europe/Lisbon"]) >= [22,0,0]
}

# METADATA
# custom:
#   plainid:
#     kind: Condition
#     name: Night shift
#     id: d4712a7d-9203-5006-82e4-b51c74f3f6c8
#     description: "From ten in the evening until six in the morning"
condition(env) if {
	time.weekday([env.time, "Europe/Lisbon"]) in ["Tuesday","Wednesday","Thursday","Friday","Saturday"]
	time.clock([env.time, "Europe/Lisbon"]) <= [6,0,0]
}