package bank

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"

	"github.com/ambit-authz/ambit/internal/model"
)

// Identities yields n identities of a template: of Staff the sample people first, then a manager and a private banker
// of every branch, then everybody else; of Device the laptops in the same order. An unknown template is an error.
func Identities(template model.TemplateID, seed uint64, n int) (iter.Seq[model.Identity], error) {
	if template != "Staff" && template != "Device" {
		return nil, model.NotFound("IdentityTemplate", string(template))
	}
	return func(yield func(model.Identity) bool) {
		g := generator{r: rand.New(rand.NewPCG(seed, stream(template))), branches: branches()}
		people := samplePeople()
		for i := range n {
			var identity model.Identity
			switch {
			case template == "Device":
				identity = g.device(i)
			case i < len(people):
				identity = people[i]
			default:
				identity = g.employee(i - len(people))
			}
			if !yield(identity) {
				return
			}
		}
	}, nil
}

func samplePeople() []model.Identity {
	return []model.Identity{
		{EntityID: SampleUser, Attributes: model.Attributes{
			"fullName": {"Marta Reyes"}, "jobTitle": {"Teller"}, "grade": {"3"}, "department": {"Retail"},
			"branch": {"Porto-07"}, "region": {"Iberia"}, "country": {"PT"}, "employment": {"permanent"},
			"roles": {"employee"}, "certificates": {"data-protection-2026"},
		}},
		{EntityID: SampleManager, Attributes: model.Attributes{
			"fullName": {"Tunde Okafor"}, "jobTitle": {"Branch Manager"}, "grade": {"7"}, "department": {"Retail"},
			"branch": {"Lagos-03"}, "region": {"West Africa"}, "country": {"NG"}, "employment": {"permanent"},
			"roles": {"employee", "signatory"}, "certificates": {"data-protection-2026"}, "approvalLimit": {"250000"},
		}, Rows: []model.Attributes{
			{"coverBranch": {"Abuja-01"}, "coverLevel": {"6"}},
			{"coverBranch": {"Accra-02"}, "coverLevel": {"3"}},
		}},
		{EntityID: SampleAuditor, Attributes: model.Attributes{
			"fullName": {"Ingrid Halvorsen"}, "jobTitle": {"Internal Auditor"}, "grade": {"6"},
			"department": {"Internal Audit"}, "branch": {"Head Office"}, "region": {"Iberia"}, "country": {"PT"},
			"employment": {"permanent"}, "roles": {"employee"}, "certificates": {"data-protection-2026"},
			"auditCases": {auditCase(16), auditCase(41), auditCase(107)},
		}},
		{EntityID: SampleRisk, Attributes: model.Attributes{
			"fullName": {"Leonor Grant"}, "jobTitle": {"Chief Risk Officer"}, "grade": {"10"}, "department": {"Group Risk"},
			"branch": {"Head Office"}, "region": {"Iberia"}, "country": {"PT"}, "employment": {"permanent"},
			"roles": {"employee"}, "certificates": {"data-protection-2026"}, "approvalLimit": {"5000000"},
		}},
	}
}

// bankerOf is the entity id of the private banker of a branch, by its place in the list of branches.
func bankerOf(branch int) string { return employeeID(len(cities())*branchesPerCity + branch) }

// employeeID is the entity id of a generated employee; the number keeps it unique.
func employeeID(i int) string {
	first, last := employeeName(i)
	return strings.ToLower(first[:1]+last) + fmt.Sprintf("%04d", i)
}

func employeeName(i int) (first, last string) {
	firsts := []string{
		"Ana", "Bola", "Carmen", "Daniel", "Elif", "Femi", "Greta", "Hugo", "Ines", "Jonas", "Kofi",
		"Laura", "Mikko", "Nadia", "Olga", "Pedro", "Rosa", "Sven", "Tomas", "Ulla", "Vera", "Wale", "Yara",
	}
	lasts := []string{
		"Almeida", "Berg", "Costa", "Danso", "Eriksen", "Ferreira", "Garcia", "Hansen", "Ibrahim",
		"Jansson", "Kelly", "Lopez", "Mensah", "Nilsen", "Owusu", "Pereira", "Quinn", "Ribeiro", "Silva", "Traore",
		"Virtanen", "Walsh",
	}
	return firsts[i%len(firsts)], lasts[i/3%len(lasts)]
}

// job is a line of work with the grades it has; those at head office are not tied to a branch.
type job struct {
	weight            int
	title, department string
	low, high         int
	headOffice        bool
}

func jobs() []job {
	return []job{
		{420, "Teller", "Retail", 1, 4, false},
		{120, "Senior Teller", "Retail", 4, 6, false},
		{120, "Support Agent", "Client Support", 2, 5, true},
		{40, "Night Desk Agent", "Night Desk", 2, 4, true},
		{50, "Internal Auditor", "Internal Audit", 4, 8, true},
		{60, "Controller", "Group Finance", 4, 7, true},
		{20, "Senior Controller", "Group Finance", 7, 9, true},
		{40, "Treasury Dealer", "Treasury", 5, 8, true},
		{30, "Compliance Officer", "Compliance", 5, 8, true},
		{30, "Legal Counsel", "Legal", 6, 9, true},
		{30, "Risk Analyst", "Group Risk", 5, 8, true},
		{20, "Regional Director", "Retail", 8, 10, false},
		{20, "Systems Engineer", "Information Technology", 4, 8, true},
	}
}

func (g *generator) employee(i int) model.Identity {
	first, last := employeeName(i)
	j, b := g.position(i)
	grade := j.low + g.r.IntN(j.high-j.low+1)
	a := model.Attributes{
		"fullName": {first + " " + last}, "jobTitle": {j.title}, "grade": {fmt.Sprint(grade)}, "department": {j.department},
		"branch": {b.name}, "region": {b.region}, "country": {b.country}, "roles": {"employee"},
		"employment": {pick(g.r, []choice{{9, "permanent"}, {1, "contractor"}})},
	}
	if g.r.IntN(10) < 9 {
		a["certificates"] = []string{"data-protection-2026"}
	}
	if grade >= 6 {
		a["approvalLimit"] = []string{fmt.Sprint(grade * grade * 5000)}
		if g.r.IntN(3) == 0 {
			a["roles"] = []string{"employee", "signatory"}
		}
	}
	switch j.department {
	case "Group Finance":
		a["costCentres"] = model.Distinct([]string{costCentre(g.r.IntN(costCentreCount)), costCentre(g.r.IntN(costCentreCount))})
	case "Internal Audit":
		a["auditCases"] = model.Distinct([]string{auditCase(g.r.IntN(auditCaseCount)), auditCase(g.r.IntN(auditCaseCount))})
	}
	return model.Identity{EntityID: employeeID(i), Inactive: g.r.IntN(50) == 0, Attributes: a}
}

// position gives the i-th generated employee a job and a place of work.
func (g *generator) position(i int) (job, branch) {
	switch n := len(g.branches); {
	case i < n && g.branches[i].name == "Lagos-03":
		return job{title: "Assistant Branch Manager", department: "Retail", low: 5, high: 5}, g.branches[i]
	case i < n:
		return job{title: "Branch Manager", department: "Retail", low: 6, high: 8}, g.branches[i]
	case i < 2*n:
		return job{title: "Private Banker", department: "Private Banking", low: 5, high: 8}, g.branches[i-n]
	}
	list := jobs()
	total := 0
	for _, j := range list {
		total += j.weight
	}
	at := g.r.IntN(total)
	for _, j := range list {
		if at -= j.weight; at >= 0 {
			continue
		}
		if j.headOffice {
			return j, headOffice()
		}
		return j, g.branch()
	}
	return list[0], g.branch()
}

// device is the laptop of the i-th member of staff.
func (g *generator) device(i int) model.Identity {
	people := samplePeople()
	var owner string
	if i < len(people) {
		owner = people[i].EntityID
	} else {
		owner = employeeID(i - len(people))
	}
	posture := pick(g.r, []choice{{90, "managed"}, {8, "personal"}, {2, "kiosk"}})
	if i < len(people) {
		posture = "managed"
	}
	return model.Identity{EntityID: "LT-" + strings.ToUpper(owner), Attributes: model.Attributes{
		"posture": {posture}, "platform": {pick(g.r, []choice{{6, "windows"}, {3, "macos"}, {1, "linux"}})},
		"patchAgeDays": {fmt.Sprint(g.r.IntN(40))}, "owner": {owner},
	}}
}
