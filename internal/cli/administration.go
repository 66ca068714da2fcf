package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// tenant is the --env that stands for the tenant itself.
const tenant = "-"

type credentialsCommand struct {
	List       listCredentials  `cmd:"" help:"List the API credentials of an environment; --env - lists those of the tenant." call:"GET /env-mgmt/1.0/api-key/clients?filter[ownerId]={env}" columns:"ID=id NAME=name RIGHT=permission OWNER=ownerId TOKENS=tokenDuration" example:"ambit credentials list --env -"`
	Get        showObject       `cmd:"" help:"Print an API credential, without its secret." call:"GET /env-mgmt/1.0/api-key/clients/{id}" example:"ambit credentials get Q7ZK2M4T9XB3LHPW6VND"`
	Create     createCredential `cmd:"" help:"Make an API credential of an environment; its secret is shown this once. --env - makes one of the tenant." call:"POST /env-mgmt/1.0/api-key/clients" prints:"AMBIT_ADMIN_ID=id AMBIT_ADMIN_SECRET=secret" example:"ambit credentials create --name pipeline --permission VIEWER"`
	Update     updateCredential `cmd:"" help:"Change an API credential; what is not given stays." call:"PUT /env-mgmt/1.0/api-key/clients/{id}" example:"ambit credentials update Q7ZK2M4T9XB3LHPW6VND --permission VIEWER"`
	Delete     deleteObject     `cmd:"" help:"Delete an API credential; its tokens end at once." call:"DELETE /env-mgmt/1.0/api-key/clients/{id}" example:"ambit credentials delete Q7ZK2M4T9XB3LHPW6VND --yes"`
	NewSecret  replaceSecret    `cmd:"" help:"Give an API credential a new secret, shown this once; the old one and its tokens end at once." call:"POST /env-mgmt/1.0/api-key/clients/{id}/secrets" prints:"AMBIT_ADMIN_ID=id AMBIT_ADMIN_SECRET=secret" example:"ambit credentials new-secret Q7ZK2M4T9XB3LHPW6VND"`
	Show       showCredentials  `cmd:"" help:"List the API credentials of a data directory, without secrets."`
	ResetAdmin resetAdmin       `cmd:"" help:"Give the admin credential of a data directory a new secret; the old one and its tokens end. The server must be stopped."`
}

type listCredentials struct {
	listing
	ID         string `query:"filter[id]" placeholder:"ID" help:"Only this one."`
	Name       string `query:"filter[name]" placeholder:"NAME" help:"Only of this name."`
	Permission string `query:"filter[permission]" placeholder:"ADMIN|VIEWER" help:"Only with this permission."`
}

type credentialMembers struct {
	Name        *string `body:"name" placeholder:"NAME" help:"Its name."`
	Description *string `body:"description" placeholder:"TEXT" help:"What it is for."`
	Permission  *string `body:"permission" placeholder:"ADMIN|VIEWER" help:"What it may do."`
	Duration    *string `name:"token-duration" body:"tokenDuration" placeholder:"PT60M" help:"How long its tokens are good."`
}

type createCredential struct {
	writing
	credentialMembers
	fromOwner
}

// fromOwner is filled from --env.
type fromOwner struct {
	Owner string `hidden:"" body:"ownerId"`
}

// Run makes the credential of the environment, or of the tenant.
func (c *createCredential) Run(ctx context.Context, k *kong.Context, s Streams) error {
	switch c.Environment {
	case "":
		return &usageError{"credentials create", "no environment: give --env or set AMBIT_ENV_ID; --env - is the tenant"}
	case tenant:
	default:
		c.Owner = c.Environment
	}
	return c.writing.Run(ctx, k, s)
}

type updateCredential struct {
	writing
	object
	fromFlags
	credentialMembers
}

type replaceSecret struct {
	writing
	object
}

type auditCommand struct {
	listing
	Action       string  `query:"filter[action][eq]" placeholder:"ACTION" help:"CREATE, UPDATE, DELETE, LOGIN, LOGIN_FAILED, APPLY or INVALIDATE."`
	ResourceType string  `query:"filter[resourceType][eq]" placeholder:"TYPE" help:"Such as ROLE (a policy), SCOPE, ASSET_TEMPLATE."`
	ResourceID   string  `query:"filter[resourceId][eq]" placeholder:"ID" help:"Only events about this object."`
	ParentType   string  `query:"filter[parentObjectType][eq]" placeholder:"TYPE" help:"Such as AUTHORIZATION_WORKSPACE."`
	User         string  `query:"filter[userId][eq]" placeholder:"ID" help:"Only what this credential did."`
	Since        instant `query:"filter[timestamp][gte]" placeholder:"TIME" help:"From this time on: 2026-07-06T08:00:00Z, 2026-07-06, or 24h or 30d ago. The last 7 days when no time is given."`
	Until        instant `query:"filter[timestamp][lt]" placeholder:"TIME" help:"Before this time."`
}

// instant is a time of the command line, on the wire milliseconds since 1970. The zero instant is none.
type instant struct{ at time.Time }

// UnmarshalText reads a time, a date, or how long ago.
func (i *instant) UnmarshalText(raw []byte) error {
	text := string(raw)
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			i.at = at
			return nil
		}
	}
	if days, found := strings.CutSuffix(text, "d"); found {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			i.at = time.Now().AddDate(0, 0, -int(n))
			return nil
		}
	}
	ago, err := time.ParseDuration(text)
	if err != nil || ago < 0 {
		return fmt.Errorf("%q is not a time such as 2026-07-06T08:00:00Z, 24h or 30d", text)
	}
	i.at = time.Now().Add(-ago)
	return nil
}

// String is the time on the wire.
func (i instant) String() string { return strconv.FormatInt(i.at.UnixMilli(), 10) }

type reportsCommand struct {
	Create   createReport   `cmd:"" help:"Order a report of the policies by the values of a custom attribute." call:"POST /api/1.0/reports/{env}" prints:"AMBIT_REPORT_ID=reportId" example:"ambit reports create --attribute riskLevel --format CSV"`
	Get      showObject     `cmd:"" help:"Print the state of a report." call:"GET /api/1.0/reports/{env}/{id}" example:"ambit reports get 0b1c9d52-0f5e-4a77-9c1e-3d0a6f2b8e41"`
	Download downloadReport `cmd:"" help:"Wait until a report is done, and write it." call:"GET /api/1.0/reports/{env}/{id}" example:"ambit reports download 0b1c9d52-0f5e-4a77-9c1e-3d0a6f2b8e41 --to report.csv"`
}

type createReport struct {
	writing
	Attribute string `required:"" body:"attribute" placeholder:"KEY" help:"Custom attribute."`
	Format    string `body:"format" enum:"PDF,JSON,CSV" default:"PDF" help:"${enum}."`
	Type      string `hidden:"" body:"type" default:"policies_by_attribute" help:"Kind of report."`
}

type downloadReport struct {
	remote
	object
	To   string        `default:"-" placeholder:"FILE" help:"File to write, which must not exist; - is standard output."`
	Wait time.Duration `default:"2m" help:"How long to wait for it."`
}

// Run follows the link of a report that is done. Only its path and query are used: the server is the one of the command
// line, and the link opens by itself.
func (c *downloadReport) Run(ctx context.Context, k *kong.Context, s Streams) error {
	o, err := c.begin(ctx, k, s)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.Wait)
	defer cancel()
	link, err := o.awaitReport(ctx)
	if err != nil {
		return err
	}
	base, err := url.Parse(o.session.base)
	if err != nil {
		return err
	}
	open := client{base: o.session.base, http: o.session.http}
	path := strings.TrimPrefix(link.EscapedPath(), base.EscapedPath()) // both have the folder of a proxy
	resp, err := open.send(ctx, request{method: http.MethodGet, path: path, query: link.Query()})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if c.To == "-" {
		_, err := io.Copy(s.Out, resp.Body)
		return err
	}
	f, err := os.OpenFile(c.To, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, resp.Body)
	if err := errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(c.To))
	}
	_, err = fmt.Fprintln(s.Out, "written to", c.To)
	return err
}

// awaitReport asks for a report until it is done.
func (o *operation) awaitReport(ctx context.Context) (*url.URL, error) {
	for {
		_, body, err := o.do(ctx)
		if err != nil {
			return nil, err
		}
		report := unwrapped(body)
		switch state := member(report, "status"); state {
		case "DONE":
			return url.Parse(member(report, "downloadUrl"))
		case "PENDING":
		default:
			return nil, fmt.Errorf("the report is %s", state)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("the report is not done yet: %w", ctx.Err())
		case <-time.After(time.Second):
		}
	}
}

type whoamiCommand struct{ showing }

type cachesCommand struct {
	Identities dropIdentities `cmd:"" help:"Forget what is cached of identities, on every node." unchanged:"forgotten" call:"POST /api/1.0/runtime/caches/identity/{env}/invalidate" example:"ambit caches identities --template Crew"`
	Responses  dropResponses  `cmd:"" help:"Forget cached answers, on every node." unchanged:"forgotten" call:"POST /api/1.0/runtime/caches/response/{env}/invalidate" example:"ambit caches responses"`
}

type dropIdentities struct {
	writing
	Template string `body:"identityTemplate" placeholder:"ID" help:"Those of this identity template."`
	Identity string `body:"identityId" placeholder:"ID" help:"Only this one."`
}

type dropResponses struct {
	writing
	Clients    []string `name:"client" body:"clientIds" placeholder:"ID" help:"Only answers for this scope; may be repeated."`
	Identities []string `name:"identity" body:"entityId" placeholder:"ID" help:"Only answers about this identity; may be repeated."`
}
