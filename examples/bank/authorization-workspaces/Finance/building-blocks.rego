package building_blocks
import rego.v1

# METADATA
# custom:
#   plainid:
#     kind: Ruleset
#     name: Payroll postings
#     id: 7daabe6e-deef-593c-bfb4-1297d9cbbd00
ruleset(asset, identity, requestParams, action) if {
	asset.template == "LedgerRows"
	asset["ledger"] == "payroll"
}