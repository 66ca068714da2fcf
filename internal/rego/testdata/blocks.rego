# Building blocks of every kind.
package building_blocks
import future.keywords.in

# METADATA
# custom:
#   plainid:
#     name: Posture
#     id: 11d7c3b1-51a4-4a0e-8c2d-7e6f5a4b3c21
#     description: |
#       Two lines,
#         the second indented.
condition_identity(identity) {
	identity.template == "Tablet"; not identity.posture in ["bad", `very "bad"`,]
}

# METADATA
# custom:
#   plainid:
#     kind: Condition Request
#     name: "Amount: \"large\""
condition_request_2(requestParams) if {
	requestParams["amount"] >= 1.50
	requestParams.amount in [1, "2", "003"]
	endswith(requestParams["channel"], requestParams["channel"])
}

# METADATA
# custom:
#   plainid:
#     kind: Condition
#     name: Nights
condition(env) {
	time.clock([env.time, "Europe/Lisbon"]) >= [22, 0, 0]
	time.weekday([env.time, "Europe/Lisbon"]) in ["Sunday", "Friday"]
}

# METADATA
# custom:
#   plainid:
#     kind: Condition
#     name: Nights
condition(env) {
	time.weekday([env.time, "Europe/Lisbon"]) in ["Monday", "Saturday"]
	time.clock([env.time, "Europe/Lisbon"]) <= [6, 0, 0]
}

# METADATA
# custom:
#   plainid:
#     kind: Condition
#     name: Nights
condition(env) {
	time.date([env.time, env.timeZone])[1] == 2
	time.date([env.time, env.timeZone]) <= [2028, 2, 29]
}

# METADATA
# custom:
#   plainid:
#     name: Nets
condition_ip(env) {
	net.cidr_contains("2001:db8::/32", env.sourceIp)
}

# METADATA
# custom:
#   plainid:
#     name: Nets
condition_ip(env) {
	net.cidr_contains("::ffff:10.0.0.0/104", env.sourceIp)
}

# METADATA
# custom:
#   plainid:
#     name: North
dynamic_group(identity) {
	identity.template == "Crew"
	identity["rank"] != 7
	contains(identity.port, "north")
	identity.cert == identity.port
}

# METADATA
# custom:
#   plainid:
#     name: Own
ruleset(asset, identity, requestParams) {
	asset.template == "Cargo"
	asset.berth in requestParams["berths"]
	not asset.tonnes in [1, "2.0"]
}
