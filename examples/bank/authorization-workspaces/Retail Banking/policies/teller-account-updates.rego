# METADATA
# custom:
#   plainid:
#     policyId: teller-account-updates
#     name: Tellers change accounts at the counter
#     description: "Changes only while the branch is open and only from its network."
#     accessType: Allow
#     policyUse: DYNAMIC_AUTHORIZATION_SERVICE
#     sourceEnvironmentId: 5e7d0c1a-9b3f-4a57-8c21-0d6f5b8e4a10
#     applications: 
#       - id: branch-portal
#     customAttributes:
#       owner: "Retail Operations"
#       controls: ["ICT-04","ICT-09"]
#       reviewMonths: 6
package policy
import rego.v1

# METADATA
# custom:
#   plainid:
#     kind: DynamicGroup
#     name: Branch tellers
#     id: 9b73734b-19e7-5d82-80ea-156d73c10fa1
#     description: "Permanent staff at the counter"
dynamic_group(identity) if {
	identity.template == "Staff"
	identity["jobTitle"] in ["Teller", "Senior Teller"]
	identity["grade"] >= 2
	identity["employment"] != "contractor"
}

# METADATA
# custom:
#   plainid:
#     kind: Ruleset
#     name: Everyday accounts of the own branch
#     id: b244fd1d-cea8-5552-b980-481a925dee5c
ruleset(asset, identity, requestParams, action) if {
	asset.template == "Accounts"
	identity.template == "Staff"
	asset["branch"] == identity["branch"]
	asset["segment"] in ["personal", "student"]
	action.id in ["BlockCard","Update"]
}

# METADATA
# custom:
#   plainid:
#     kind: Condition
#     name: Branch hours
#     id: 6da7d601-c741-5629-9b22-ad78c51cf97a
#     description: "Counters are open on weekdays and on Saturday morning"
condition(env) if {
	time.weekday([env.time, "Europe/Lisbon"]) in ["Monday","Tuesday","Wednesday","Thursday","Friday"]
	time.clock([env.time, "Europe/Lisbon"]) >= [8,0,0]
	time.clock([env.time, "Europe/Lisbon"]) <= [18,30,0]
}

# METADATA
# custom:
#   plainid:
#     kind: Condition
#     name: Branch hours
#     id: 6da7d601-c741-5629-9b22-ad78c51cf97a
#     description: "Counters are open on weekdays and on Saturday morning"
condition(env) if {
	time.weekday([env.time, "Europe/Lisbon"]) in ["Saturday"]
	time.clock([env.time, "Europe/Lisbon"]) >= [9,0,0]
	time.clock([env.time, "Europe/Lisbon"]) <= [13,0,0]
}

# METADATA
# custom:
#   plainid:
#     kind: Condition IP
#     name: Branch network
#     id: 0549e8db-7451-5423-910c-7654cc3eeb7e
condition_ip(env) if {
	net.cidr_contains("10.20.0.0/16", env.sourceIp)
}

# METADATA
# custom:
#   plainid:
#     kind: Condition IP
#     name: Branch network
#     id: 0549e8db-7451-5423-910c-7654cc3eeb7e
condition_ip(env) if {
	net.cidr_contains("2001:db8:20::/48", env.sourceIp)
}