package building_blocks
import rego.v1

# METADATA
# custom:
#   plainid:
#     kind: Ruleset
#     name: Dormant accounts
#     id: ea6988d1-3570-55f7-b47d-d9b303da37cd
ruleset(asset, identity, requestParams, action) if {
	asset.template == "Accounts"
	asset["status"] == "dormant"
}

# METADATA
# custom:
#   plainid:
#     kind: Condition
#     name: Weekend
#     id: c6cd9580-2ddc-5b73-9a7f-78a4dff786f9
#     description: "Kept for the branches in shopping centres"
condition(env) if {
	time.weekday([env.time, "Europe/Lisbon"]) in ["Saturday","Sunday"]
}