package bank

import (
	"fmt"
	"iter"
	"math/rand/v2"

	"github.com/ambit-authz/ambit/internal/model"
)

// Assets yields n assets of a type in the order of their paths, fewer when the type has fewer (there are about two
// hundred portal claims). An unknown type is an error.
func Assets(template model.TemplateID, seed uint64, n int) (iter.Seq[model.Asset], error) {
	maker := assetMaker(template)
	if maker == nil {
		return nil, model.NotFound("AssetTemplate", string(template))
	}
	if template == "PortalClaims" {
		n = min(n, len(portalScreens())*len(portalElements()))
	}
	return func(yield func(model.Asset) bool) {
		g := generator{r: rand.New(rand.NewPCG(seed, stream(template))), branches: branches()}
		for i := range n {
			a := maker(&g, i)
			for id, values := range a.Attributes {
				if values = model.Distinct(values); len(values) == 0 {
					delete(a.Attributes, id)
				} else {
					a.Attributes[id] = values
				}
			}
			if !yield(a) {
				return
			}
		}
	}, nil
}

// generator is what the makers of records draw from.
type generator struct {
	r        *rand.Rand
	branches []branch
}

func (g *generator) branch() branch { return g.branches[g.r.IntN(len(g.branches))] }

// stream keeps the random numbers of the templates apart.
func stream(template model.TemplateID) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range []byte(template) {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}

func assetMaker(template model.TemplateID) func(g *generator, i int) model.Asset {
	switch template {
	case "Accounts":
		return (*generator).account
	case "Documents":
		return (*generator).document
	case "PortalClaims":
		return (*generator).portalClaim
	case "LedgerRows":
		return (*generator).ledgerRow
	}
	return nil
}

func (g *generator) account(i int) model.Asset {
	at := g.r.IntN(len(g.branches))
	b := g.branches[at]
	segment := pick(g.r, []choice{{50, "personal"}, {12, "student"}, {26, "business"}, {12, "private"}})
	product := pick(g.r, []choice{{55, "current account"}, {25, "savings account"}, {12, "mortgage"}, {8, "card account"}})
	status := pick(g.r, []choice{{88, "active"}, {5, "dormant"}, {4, "frozen"}, {3, "closed"}})
	limit := map[string]int64{"personal": 25_000, "student": 4_000, "business": 900_000, "private": 5_000_000}[segment]
	attributes := model.Attributes{
		"branch": {b.name}, "region": {b.region}, "country": {b.country}, "segment": {segment}, "product": {product},
		"status": {status}, "balance": {euros(g.r.Int64N(limit * 100))}, "auditCases": auditCases(g.r, 5),
	}
	if segment == "private" {
		attributes["relationshipManager"] = []string{bankerOf(at)}
	}
	number := fmt.Sprintf("%06d", i+1)
	return model.Asset{Path: "acc/" + b.country + "/" + number, Name: b.country + "50 HARB " + number, Attributes: attributes}
}

func (g *generator) document(i int) model.Asset {
	b := g.branch()
	kind := pick(g.r, []choice{{30, "statement"}, {25, "correspondence"}, {20, "contract"}, {15, "identity paper"}, {6, "internal memo"}, {4, "audit report"}})
	attributes := model.Attributes{
		"docType": {kind}, "branch": {b.name}, "country": {b.country},
		"fileName":    {fmt.Sprintf("%s-%06d.%s", kind, i+1, pick(g.r, []choice{{8, "pdf"}, {1, "tiff"}, {1, "eml"}}))},
		"sensitivity": {pick(g.r, []choice{{25, "1"}, {35, "2"}, {30, "3"}, {10, "4"}})},
		"auditCases":  auditCases(g.r, 20),
	}
	var tags []string
	if g.r.IntN(20) == 0 {
		tags = append(tags, "counter")
	}
	if g.r.IntN(25) == 0 {
		tags = append(tags, "legal-hold", fmt.Sprintf("legal-hold-%d", 100+g.r.IntN(40)))
	}
	if g.r.IntN(3) == 0 {
		tags = append(tags, "scanned")
	}
	attributes["tags"] = tags
	if g.r.IntN(50) == 0 {
		attributes["ticket"] = []string{fmt.Sprintf("%s-%d", pick(g.r, []choice{{2, "INC"}, {1, "CHAT"}}), 4000+g.r.IntN(300))}
	}
	return model.Asset{Path: fmt.Sprintf("doc/2026/%06d", i+1), Attributes: attributes}
}

func (g *generator) ledgerRow(i int) model.Asset {
	ledger := pick(g.r, []choice{{75, "general"}, {15, "treasury"}, {10, "payroll"}})
	text := pick(g.r, []choice{{4, "Fee income"}, {4, "Loan interest"}, {3, "Office rent"}, {3, "Card settlement"}, {2, "Accrual"}})
	switch ledger {
	case "treasury":
		text = pick(g.r, []choice{{2, "FX forward"}, {2, "FX spot"}, {3, "Repo"}, {3, "Bond coupon"}})
	case "payroll":
		text = pick(g.r, []choice{{3, "Salary"}, {1, "Pension"}, {1, "Bonus"}})
	}
	return model.Asset{Path: fmt.Sprintf("gl-%08d", i+1), Attributes: model.Attributes{
		"ledger": {ledger}, "costCentre": {costCentre(g.r.IntN(costCentreCount))},
		"currency": {pick(g.r, []choice{{50, "EUR"}, {20, "GBP"}, {10, "USD"}, {10, "NGN"}, {10, "NOK"}})},
		"amount":   {euros(g.r.Int64N(45_000_000))}, "period": {fmt.Sprintf("2026-%02d", 1+g.r.IntN(6))},
		"postingText": {text}, "auditCases": auditCases(g.r, 10),
	}}
}

// screen is a page of the branch portal, for the job titles that work with it from a grade on.
type screen struct {
	name     string
	grade    string
	audience []string
}

func portalScreens() []screen {
	counter := []string{"Teller", "Senior Teller", "Branch Manager"}
	bankers := []string{"Private Banker", "Branch Manager", "Regional Director"}
	return []screen{
		{"home", "1", []string{"Everybody"}},
		{"help", "1", nil},
		{"news", "1", []string{"Everybody"}},
		{"accounts", "2", counter},
		{"cash", "2", counter},
		{"cards", "3", counter},
		{"appointments", "2", counter},
		{"vault", "5", []string{"Senior Teller", "Branch Manager"}},
		{"documents", "2", append(bankers, counter...)},
		{"signing", "6", bankers},
		{"portfolios", "4", bankers},
		{"staffing", "6", []string{"Branch Manager"}},
		{"branch-report", "6", []string{"Branch Manager", "Regional Director"}},
		{"region-report", "8", []string{"Regional Director"}},
		{"audit", "4", []string{"Internal Auditor"}},
		{"audit-trail", "6", []string{"Internal Auditor", "Chief Risk Officer"}},
		{"tickets", "2", []string{"Support Agent"}},
		{"card-block", "2", []string{"Night Desk Agent"}},
		{"ledger", "4", []string{"Controller", "Senior Controller", "Treasury Dealer"}},
		{"limits", "7", []string{"Chief Risk Officer", "Risk Analyst"}},
	}
}

func portalElements() []string {
	return []string{"screen", "menu", "search", "table", "details", "history", "edit", "print", "export", "settings"}
}

func (g *generator) portalClaim(i int) model.Asset {
	elements := portalElements()
	s, element := portalScreens()[i/len(elements)], elements[i%len(elements)]
	grade := s.grade
	if element == "export" || element == "settings" {
		grade = max(grade, "5") // one digit each
	}
	return model.Asset{Path: "portal/" + s.name + "/" + element, Name: s.name + " " + element, Attributes: model.Attributes{
		"claimKey": {element}, "claimValue": {s.name + "." + element}, "audience": s.audience, "minimumGrade": {grade},
	}}
}
