package e2e

import "strings"

// maxBody and maxReport are the largest bodies, as the contract's answer 413 says.
const maxBody, maxReport = 1 << 20, 16 << 20

func (o *operation) maxBody() int {
	if list := ofJobs[o.OperationID]; o.isReport() || list != "" {
		return maxReport
	}
	return maxBody
}

// isReport reports whether an operation reports how a run ended. Such a request is not refused for
// its form.
func (o *operation) isReport() bool {
	return o.OperationID == "completeRun" || o.OperationID == "failRun" || o.hasReports()
}

// hasReports reports whether an operation answers each of many reports by itself.
func (o *operation) hasReports() bool { return o.OperationID == "completeRuns" }

// repaired returns the mutations to send to an operation that repairs its body. They are some of
// each field, because each uses up a leased run. Only a wrong token is still refused, and what is
// no list of reports.
func repaired(mutations []mutation) (some []mutation) {
	sent := map[string]int{}
	for _, m := range mutations {
		sent[m.field]++
		name := strings.TrimSpace(m.field)
		switch isToken := strings.EqualFold(name, "token") || strings.EqualFold(name, "reports"); {
		case m.field == "token" || m.field == "reports" || m.field == "":
			some = append(some, m)
		case !isToken && sent[m.field] <= 8:
			m.verdict = accepted
			some = append(some, m)
		}
	}
	return some
}
