package e2e

import "strings"

// maxBody and maxReport are the largest bodies, as the contract's answer 413 says.
const maxBody, maxReport = 1 << 20, 16 << 20

func (o *operation) maxBody() int {
	if o.isReport() {
		return maxReport
	}
	return maxBody
}

// isReport reports whether an operation says how a run ended: then it is not refused for its form.
func (o *operation) isReport() bool {
	return o.OperationID == "completeRun" || o.OperationID == "failRun"
}

// repaired returns what is sent to an operation that repairs what it is told, except the token: some of the mutations of
// each field, as each of them takes a leased run.
func repaired(mutations []mutation) (some []mutation) {
	sent := map[string]int{}
	for _, m := range mutations {
		sent[m.field]++
		switch isToken := strings.EqualFold(strings.TrimSpace(m.field), "token"); {
		case m.field == "token" || m.field == "":
			some = append(some, m)
		case !isToken && sent[m.field] <= 8:
			m.verdict = accepted
			some = append(some, m)
		}
	}
	return some
}
