package manage

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/model"
)

const (
	reportsPath = "/api/1.0/reports/{envId}"
	reportPath  = reportsPath + "/{reportId}"
)

// addReports makes the routes of reports (management-api.md 14.6). The link of a download carries its own right.
func addReports(t *router) {
	t.add("POST", reportsPath, route{resource: "Report", right: manage.RightRead, serve: createReport})
	t.add("GET", reportPath, route{resource: "Report", right: manage.RightRead, serve: getReport})
	t.serve("GET", reportPath+"/download", func(w http.ResponseWriter, r *http.Request) {
		if err := downloadReport(&exchange{api: t.api, w: w, r: r}); err != nil {
			t.api.fail(w, r, err)
		}
	})
}

type reportBody struct {
	ReportID    *string `json:"reportId"`
	Status      string  `json:"status"`
	CreatedAt   string  `json:"createdAt"`
	DownloadURL string  `json:"downloadUrl,omitempty"`
	ExpiresAt   string  `json:"downloadUrlExpiresAt,omitempty"`
}

func createReport(x *exchange) error {
	text, err := x.readJSON()
	if err != nil {
		return err
	}
	report, done, err := x.api.service.CreateReport(x.r.Context(), x.call, x.env, text)
	if err != nil {
		return err
	}
	out := reportBody{ReportID: orNull(report.ID), Status: "PENDING", CreatedAt: stamp(report.CreatedAt)}
	if report.ID != "" {
		x.w.Header().Set("Location", strings.NewReplacer("{envId}", string(x.env), "{reportId}", report.ID).Replace(reportPath))
	}
	x.done(done)
	return x.data(http.StatusAccepted, out)
}

func getReport(x *exchange) error {
	report, seen, err := x.api.service.FindReport(x.r.Context(), x.env, x.r.PathValue("reportId"))
	if err != nil {
		return err
	}
	x.seen(seen)
	link, expires := x.api.service.ReportLink(x.env, report.ID)
	return x.data(http.StatusOK, reportBody{
		ReportID: &report.ID, Status: "DONE", CreatedAt: stamp(report.CreatedAt), ExpiresAt: expires.UTC().Format(time.RFC3339),
		DownloadURL: strings.TrimSuffix(x.api.service.Issuer(), "/") +
			strings.NewReplacer("{envId}", string(x.env), "{reportId}", report.ID).Replace(reportPath) + "/download?link=" + url.QueryEscape(link),
	})
}

func downloadReport(x *exchange) error {
	id, ok := model.ParseUUID(x.r.PathValue("envId"))
	if !ok {
		return manage.NotUUID(x.r.PathValue("envId"))
	}
	report, err := x.api.service.DownloadReport(x.r.Context(), model.EnvironmentID(id), x.r.PathValue("reportId"), x.r.URL.Query().Get("link"))
	if err != nil {
		return err
	}
	types := map[string]string{manage.FormatPDF: "application/pdf", manage.FormatJSON: "application/json", manage.FormatCSV: "text/csv; charset=utf-8"}
	h := x.w.Header()
	h.Set("Content-Type", types[report.Format])
	h.Set("Content-Disposition", `attachment; filename="`+report.Type+"."+strings.ToLower(report.Format)+`"`)
	h.Set("Content-Length", strconv.Itoa(len(report.Content)))
	h.Set("Cache-Control", "private, no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	x.w.WriteHeader(http.StatusOK)
	_, _ = x.w.Write(report.Content) // the peer is gone: nobody is left to tell
	return nil
}
