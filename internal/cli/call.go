package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/ambit-authz/ambit/internal/model"
)

// The commands of the management plane are a table: the grammar. Each leaf states in tags what it calls, and one of the
// verbs (verb.go) does the rest. Tags of a command:
//
//	call     method and target of the call; {name} stands for the argument or flag of that name and must be given,
//	         {E} for the path of the environment's own calls
//	tenant   the call instead when --env is -
//	columns  TITLE=member of a table; a.b is a member of a member, a.# a number of items,
//	         "a|time" milliseconds since 1970
//	rows     member that holds the rows when the items of a list are groups
//	patch    "/path JSON": the one operation of a JSON Patch
//	names    member of the answer that names the object where the arguments do not
//	prints   NAME=member: lines to print of what is shown this once
//	example  a command line for the help
//
// Tags of an argument or flag, beside its use in the target:
//
//	query      key of the query
//	body       member of the JSON body
//	patch      /path of the JSON Patch whose value this is
//	file       the flag names a file with the body: json, or rego
//	filter     ID=VALUE is the query filter[attributes.ID]=VALUE
//	workspace  the value is a workspace, by name or id: authorization or identity

// operation is one command on its way to the server.
type operation struct {
	node        *kong.Node
	about       []string // the arguments as they were typed
	remote      *remote
	session     *client
	method      string
	path        string
	query       url.Values
	header      http.Header
	contentType string
	body        []byte
}

// name is the command as the user wrote it.
func (o *operation) name() string {
	_, name, _ := strings.Cut(o.node.FullPath(), " ")
	return name
}

func (o *operation) tag(name string) string { return o.node.Tag.Get(name) }

func (o *operation) usage(format string, args ...any) error {
	return &usageError{o.name(), fmt.Sprintf(format, args...)}
}

// begin prepares the call of a command. What can be seen to be wrong is said before anything is sent.
func (r *remote) begin(ctx context.Context, k *kong.Context, s Streams) (*operation, error) {
	o := &operation{node: k.Selected(), remote: r, query: url.Values{}, header: http.Header{}}
	for _, v := range o.node.Positional {
		o.about = append(o.about, textsOf(v)...)
	}
	call := o.tag("call")
	if other := o.tag("tenant"); other != "" && r.Environment == tenant {
		call = other
	}
	method, target, _ := strings.Cut(call, " ")
	o.method = method
	target = strings.ReplaceAll(target, "{E}", "/ambit/1.0/environments/{env}")
	if err := o.refuseEmpty(k); err != nil {
		return nil, err
	}
	if err := o.check(target); err != nil {
		return nil, err
	}
	if err := o.readFile(target, s); err != nil {
		return nil, err
	}
	session, err := r.connect(ctx)
	if err != nil {
		return nil, err
	}
	o.session = session
	if err := o.resolveWorkspaces(ctx, target); err != nil {
		return nil, err
	}
	if err := o.fill(); err != nil {
		return nil, err
	}
	return o, o.aim(target)
}

// values are the arguments and flags of the command.
func (o *operation) values() []*kong.Value {
	out := append([]*kong.Value(nil), o.node.Positional...)
	for _, f := range o.node.Flags {
		out = append(out, f.Value)
	}
	return out
}

func (o *operation) value(name string) *kong.Value {
	for _, v := range o.values() {
		if v.Name == name {
			return v
		}
	}
	return nil
}

// tagged are the values that have a tag and were given.
func (o *operation) tagged(tag string) []*kong.Value {
	var out []*kong.Value
	for _, v := range o.values() {
		if v.Tag.Has(tag) && len(textsOf(v)) > 0 {
			out = append(out, v)
		}
	}
	return out
}

// textsOf are the texts of a value; none when it was not given.
func textsOf(v *kong.Value) []string {
	target := v.Target
	if target.Kind() == reflect.Pointer {
		if target.IsNil() {
			return nil
		}
		return []string{fmt.Sprint(target.Elem().Interface())}
	}
	if list, ok := target.Interface().([]string); ok {
		return list
	}
	if target.IsZero() {
		return nil
	}
	return []string{fmt.Sprint(target.Interface())}
}

// placeholders are the names that stand in braces in a target.
func placeholders(target string) []string {
	var out []string
	for {
		_, rest, found := strings.Cut(target, "{")
		name, after, closed := strings.Cut(rest, "}")
		if !found || !closed {
			return out
		}
		out, target = append(out, name), after
	}
}

// refuseEmpty keeps a variable that is not set from widening what a command is about: an argument or a filter that was
// given is never empty. Members of the body may be.
func (o *operation) refuseEmpty(k *kong.Context) error {
	for _, given := range k.Path {
		var v *kong.Value
		switch {
		case given.Positional != nil:
			v = given.Positional
		case given.Flag != nil && (given.Flag.Tag.Has("query") || given.Flag.Tag.Has("workspace")):
			v = given.Flag.Value
		default:
			continue
		}
		texts := textsOf(v)
		if kind := v.Target.Kind(); kind != reflect.String && kind != reflect.Slice {
			continue
		}
		if len(texts) == 0 || slices.Contains(texts, "") {
			return o.usage("%s: is empty", v.Name)
		}
	}
	return nil
}

// check refuses a target with values that are missing or lead to another path.
func (o *operation) check(target string) error {
	for _, name := range placeholders(target) {
		v := o.value(name)
		if v.Tag.Has("workspace") {
			continue // may be found out
		}
		if name == "env" && (o.remote.Environment != tenant || strings.Contains(target, "/{env}")) {
			if err := o.remote.inEnvironment(o.name()); err != nil {
				return err
			}
		}
		texts := textsOf(v)
		switch {
		case len(texts) == 0:
			return o.usage("%s: is empty", name)
		case texts[0] == "." || texts[0] == "..":
			return o.usage("%s: %q is not an id", name, texts[0])
		}
	}
	return nil
}

// aim makes the path and the query of the call.
func (o *operation) aim(target string) error {
	path, query, _ := strings.Cut(target, "?")
	for _, name := range placeholders(path) {
		path = strings.ReplaceAll(path, "{"+name+"}", url.PathEscape(textsOf(o.value(name))[0]))
	}
	o.path = path
	for pair := range strings.SplitSeq(query, "&") {
		key, text, found := strings.Cut(pair, "=")
		if !found {
			continue
		}
		for _, name := range placeholders(text) {
			text = textsOf(o.value(name))[0]
		}
		o.query.Set(key, text)
	}
	for _, v := range o.tagged("query") {
		key, texts := v.Tag.Get("query"), textsOf(v)
		if len(texts) > 1 {
			key += "[in]" // repeated, so that values may have commas
		}
		o.query[key] = texts
	}
	for _, v := range o.tagged("filter") {
		for _, pair := range textsOf(v) {
			id, value, found := strings.Cut(pair, "=")
			if !found || id == "" {
				return o.usage("--%s %s: is not ID=VALUE", v.Name, pair)
			}
			o.query.Set("filter[attributes."+id+"]", value)
		}
	}
	return nil
}

// request is the call as it stands; it may be sent several times.
func (o *operation) request() request {
	q := request{method: o.method, path: o.path, query: o.query, header: o.header, contentType: o.contentType}
	if o.body != nil {
		q.body = bytes.NewReader(o.body)
	}
	return q
}

// explain adds the file to errors that are about a place in it.
func (o *operation) explain(err error) error {
	refused, ok := errors.AsType[*refusal](err)
	files := o.tagged("file")
	if !ok || len(files) == 0 {
		return err
	}
	for i, e := range refused.Errors {
		line, _, _ := strings.Cut(e.Message, ":")
		switch {
		case line != "" && strings.Trim(line, "0123456789") == "":
			refused.Errors[i].Message = fileName(textsOf(files[0])[0]) + ":" + e.Message
		case strings.HasPrefix(line, "/"): // a JSON pointer
			refused.Errors[i].Message = fileName(textsOf(files[0])[0]) + ": " + e.Message
		}
	}
	return err
}

// resolveWorkspaces replaces the names of workspaces by their ids. One that the target needs and nobody named is the only
// one that there is.
func (o *operation) resolveWorkspaces(ctx context.Context, target string) error {
	for _, v := range o.values() {
		kind := v.Tag.Get("workspace")
		if kind == "" {
			continue
		}
		texts := textsOf(v)
		needed := len(texts) == 0 && strings.Contains(target, "{"+v.Name+"}")
		if needed {
			texts = []string{""}
		}
		for i, text := range texts {
			id, err := o.workspace(ctx, kind, text)
			if err != nil {
				return err
			}
			texts[i] = id
		}
		if len(texts) == 0 {
			continue
		}
		if list, ok := v.Target.Addr().Interface().(*[]string); ok {
			*list = texts
		} else {
			v.Target.SetString(texts[0])
		}
	}
	return nil
}

// workspace is the id of the workspace that has this name, or of the only one when name is empty.
func (o *operation) workspace(ctx context.Context, kind, name string) (string, error) {
	if id, ok := model.ParseUUID(name); ok {
		return id, nil
	}
	if err := o.remote.inEnvironment(o.name()); err != nil {
		return "", err
	}
	var ids, names []string
	q := operation{
		session: o.session, method: http.MethodGet, query: url.Values{},
		path: environmentPath(o.remote.Environment) + "/" + kind + "-workspaces",
	}
	err := q.pages(ctx, true, "", func(p page) error {
		for _, row := range p.rows {
			if own := member(row, "name"); name == "" || own == name {
				ids, names = append(ids, member(row, "id")), append(names, own)
			}
		}
		return nil
	})
	switch {
	case err != nil:
		return "", err
	case len(ids) == 1:
		return ids[0], nil
	case len(ids) == 0:
		return "", fmt.Errorf("no %s workspace %q", kind, name)
	}
	return "", o.usage("which %s workspace? Name one with --workspace: %s", kind, strings.Join(names, ", "))
}
