// Package client asks an Ambit server what an identity may do.
//
//	c, err := client.New(client.Options{URL: "https://ambit.example", ClientID: id, ClientSecret: secret})
//	…
//	decision, err := c.Permit(ctx, client.Query{Identity: client.Identity{ID: "mreyes", Template: "Staff"}},
//		client.Resource{Type: "Accounts", Path: "acc/PT/001251", Action: "view"})
//	if err != nil || !decision.Permitted {
//		// no
//	}
//
// Start at New and Query. Each question of the runtime API is one method: AccessList and Entries (User Access Token),
// Permit (Permit/Deny), Filter (Policy Resolution), Users (User List) and Policies (Policy List). Who keeps a list brings it
// up to date by Refresh, Session or Watch. Require makes an HTTP middleware that asks for every request. What a general client
// does as well is left to it: AuthZEN, the description of HTTP calls by gateways (Permit/Deny 5.0), and the checking of signed
// answers.
//
// The package promises to fail closed. A refusal, an error, a timeout, an answer that is cut, too large, ambiguous or not
// about what was asked is an error, and zero values mean no. Redirects are not followed, so that credentials reach no
// other server, and no secret stands in an error or in what the types of this package print. It must never grant what
// the server did not, and it imports the standard library only.
package client
