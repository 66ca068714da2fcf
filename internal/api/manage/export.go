package manage

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/ambit-authz/ambit/internal/api/problem"
	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/manage/archive"
	"github.com/ambit-authz/ambit/internal/model"
)

// archiveForm is one of the forms of an archive: the value of format, the media type, the end of file names.
type archiveForm struct {
	name, media, ending string
	kind                archive.Kind
}

// archiveForms are in the order of preference of callers who do not care.
func archiveForms() []archiveForm {
	return []archiveForm{
		{"zip", "application/zip", ".zip", archive.Zip},
		{"tar", "application/x-tar", ".tar", archive.Tar},
		{"tgz", "application/gzip", ".tar.gz", archive.TarGzip},
	}
}

func addExport(t *router) {
	forms := []string{"application/x-zip-compressed", "application/tar", "application/x-gzip"}
	for _, f := range archiveForms() {
		forms = append(forms, f.media)
	}
	t.add("GET", environment+"/export", route{resource: "Environment", right: manage.RightRead, forms: forms, serve: export})
}

// export answers the environment as an archive (management-api.md 21.3). The archive is made first and sent then: a slow
// caller holds nothing open, and an error is an answer and no broken archive.
func export(x *exchange) error {
	q := x.r.URL.Query()
	o, err := exportOptions(q)
	if err != nil {
		return err
	}
	form, err := x.archiveForm(q)
	if err != nil {
		return err
	}
	o.Kind = form.kind
	f, err := x.unnamed()
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read from here on
	revision, err := x.api.service.Export(x.r.Context(), x.env, o, f)
	if err != nil {
		return err
	}
	size, err := f.Seek(0, io.SeekCurrent)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return model.FileError("manage.export", err)
	}
	x.revision(revision)
	h := x.w.Header()
	h.Set("Content-Type", form.media)
	h.Set("Content-Length", strconv.FormatInt(size, 10))
	h.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="ambit-%s-%d%s"`, x.env, revision, form.ending))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	x.w.WriteHeader(http.StatusOK)
	if x.r.Method == http.MethodHead {
		return nil
	}
	if _, err := io.Copy(x.w, f); err != nil {
		panic(http.ErrAbortHandler) // the connection ends before Content-Length: nobody takes the part for the whole
	}
	return nil
}

func exportOptions(q url.Values) (manage.ExportOptions, error) {
	o := manage.ExportOptions{AuthWs: q["authWs"], IdentityWs: q["identityWs"]}
	var errs model.Errors
	for _, list := range q["include"] {
		for name := range strings.SplitSeq(list, ",") {
			switch strings.TrimSpace(name) {
			case "":
			case "assets":
				o.Assets = true
			case "identities":
				o.Identities = true
			case "scopes":
				o.Scopes = true
			default:
				errs = append(errs, model.InvalidParameter("include", "%q is not assets, identities or scopes", name))
			}
		}
	}
	return o, errs.OrNil()
}

// archiveForm is the form that the query names, else the one that Accept prefers.
func (x *exchange) archiveForm(q url.Values) (archiveForm, error) {
	forms := archiveForms()
	if name := q.Get("format"); name != "" {
		for _, f := range forms {
			if f.name == name {
				return f, nil
			}
		}
		return archiveForm{}, model.InvalidParameter("format", "%q is not zip, tar or tgz", name)
	}
	list := accepted(x.r)
	if len(list) == 0 {
		return forms[0], nil
	}
	best, weight := archiveForm{}, 0.0
	for _, a := range list {
		kind, known := archiveKind(a.media)
		for _, f := range forms {
			fits := known && kind == f.kind || a.media == "" || a.media == "*/*" || a.media == "application/*"
			if fits && a.weight > weight {
				best, weight = f, a.weight
			}
		}
	}
	if weight == 0 {
		return best, problem.NotAcceptable("the answer is application/zip, application/x-tar or application/gzip")
	}
	return best, nil
}
