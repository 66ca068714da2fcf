package client_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/ambit-authz/ambit/client"
)

// connect is what an application does once, when it starts.
func connect() *client.Client {
	c, err := client.New(client.Options{
		URL:          os.Getenv("AMBIT_URL"),
		ClientID:     os.Getenv("AMBIT_CLIENT_ID"),
		ClientSecret: os.Getenv("AMBIT_CLIENT_SECRET"),
	})
	if err != nil {
		log.Fatal(err)
	}
	return c
}

func ExampleClient_AccessList() {
	list, err := connect().AccessList(context.Background(), client.Query{
		Identity: client.Identity{ID: "mreyes", Template: "Staff"},
		Types:    []client.ResourceType{{Name: "Accounts"}},
	})
	if err != nil {
		log.Fatal(err) // no list, no access
	}
	first := list.Entries[0]
	fmt.Println(first.Type, first.Path, first.Actions[0].Name)
	fmt.Println(list.Can("Accounts", first.Path, "view"), list.Can("Accounts", first.Path, "close"))
	// Output:
	// Accounts acc/PT/001251 view
	// true false
}

func ExampleClient_Entries() {
	marta := client.Query{Identity: client.Identity{ID: "mreyes", Template: "Staff"}, Types: []client.ResourceType{{Name: "PortalClaims"}}}
	for entry, err := range connect().Entries(context.Background(), marta) {
		if err != nil {
			log.Fatal(err) // the list is not whole
		}
		fmt.Println(entry.Path)
		break
	}
	// Output:
	// portal/home/screen
}

func ExampleClient_Permit() {
	decision, err := connect().Permit(context.Background(),
		client.Query{Identity: client.Identity{ID: "mreyes", Template: "Staff"}},
		client.Resource{Type: "Accounts", Path: "acc/PT/001251", Action: "view"},
		client.Resource{Type: "Accounts", Path: "acc/PT/001251", Action: "close"},
	)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(decision.Permitted)
	for _, v := range decision.Denied {
		fmt.Println(v.Action, v.Reason)
	}
	// Output:
	// false
	// close PID004
}

func ExampleClient_Filter() {
	answer, err := connect().Filter(context.Background(), client.Query{
		Identity: client.Identity{ID: "ihalvorsen", Template: "Staff"},
		Types:    []client.ResourceType{{Name: "LedgerRows"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, f := range answer.Filters {
		fmt.Println(f.Name, f.All, f.Any[0][0].Attribute, f.Any[0][0].Operator, f.Any[0][0].Values)
	}
	// Output:
	// read false auditCases IN [AC-2026-017 AC-2026-042 AC-2026-108]
}

func ExampleClient_Users() {
	list, err := connect().Users(context.Background(),
		client.Query{Identity: client.Identity{Template: "Staff"}},
		client.Resource{Type: "Accounts", Path: "acc/PT/001251", Action: "view"})
	if err != nil {
		log.Fatal(err)
	}
	for _, u := range list.Users {
		if u.ID == "mreyes" {
			fmt.Println(u.ID, u.Actions[0].Name)
		}
	}
	// Output:
	// mreyes view
}

func ExampleClient_Policies() {
	list, err := connect().Policies(context.Background(), client.Query{
		Identity: client.Identity{ID: "mreyes", Template: "Staff"},
		Assets:   []client.Asset{{Type: "Accounts", Path: "acc/PT/001251"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range list.Objects[0].Policies {
		if p.AccessType == "Allow" {
			fmt.Println(p.ID)
		}
	}
	// Output:
	// teller-account-updates
	// teller-accounts
}

func ExampleRequire() {
	user := func(r *http.Request) string { return "" } // of the application's session
	mux := http.NewServeMux()
	gate := client.Require(connect(), func(r *http.Request) (client.Question, error) {
		id := user(r)
		if id == "" {
			return client.Question{}, client.ErrNoIdentity
		}
		return client.Question{
			Query:     client.Query{Identity: client.Identity{ID: id, Template: "Staff"}},
			Resources: []client.Resource{{Type: "Accounts", Path: r.PathValue("path"), Action: "view"}},
		}, nil
	})
	mux.Handle("GET /accounts/{path...}", gate(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "revision", client.DecisionOf(r.Context()).Revision)
	})))
}

func ExampleClient_Watch() {
	c, ctx := connect(), context.Background()
	marta := client.Query{Identity: client.Identity{ID: "mreyes", Template: "Staff"}}
	for change, err := range c.Watch(ctx, marta, "") { // first the whole list, as gained
		if err != nil || change.Reset {
			break // what is known is void: forget it and watch anew
		}
		fmt.Println(len(change.Gained), "gained,", len(change.Lost), "lost")
	}
}

func ExampleClient_Session() {
	session := connect().Session(client.Query{Identity: client.Identity{ID: "mreyes", Template: "Staff"}}, time.Minute)
	list, err := session.List(context.Background()) // asked for at most once a minute, and sent only when it changed
	fmt.Println(list.Can("Accounts", "acc/PT/001251", "view"), err)
	// Output:
	// true <nil>
}
