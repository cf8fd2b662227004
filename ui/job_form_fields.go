package ui

import (
	"slices"
	"strings"
)

// policyFields are the fields of the folded part of the form.
var policyFields = []string{
	"maxAttempts", "attemptDeadlineSeconds", "minBackoffSeconds", "maxBackoffSeconds", "misfirePolicy", "catchupWindowSeconds",
	"overlapPolicy", "skipOn", "onlyOn", "onSkipped", "startAt", "endAt", "jitterSeconds", "concurrencyGroup", "maxConcurrency", "maxRuns",
	"pauseAfterFailures", "deleteAfterCompletion", "runHistory", "alertAfterFailures", "expectSuccessWithinSeconds", "lateAfterSeconds",
	"metrics", "publicBadge",
}

// hasWrongPolicies reports whether something is wrong in the folded part, so that it is to be seen.
func (f jobForm) hasWrongPolicies() bool {
	if f.problem == nil || f.problem.Errors == nil {
		return false
	}
	for _, e := range *f.problem.Errors {
		name, _, _ := strings.Cut(e.Field, ".")
		if slices.Contains(policyFields, name) {
			return true
		}
	}
	return false
}

// hasTargetMore reports whether the target has more than most have.
func (f jobForm) hasTargetMore() bool {
	for _, name := range []string{"headers", "secretHeaders", "signingSecrets", "body", "expectStatus", "retryOn", "followRedirects"} {
		if f.Get("target."+name) != "" || len(f.errors("target."+name)) > 0 {
			return true
		}
	}
	return len(f.secrets) > 0
}

// secretsOf returns which secrets of a field are set.
func (f jobForm) secretsOf(name string) (set []string) {
	for _, path := range f.secrets {
		if path == name {
			return []string{name}
		}
		if header, is := strings.CutPrefix(path, name+"."); is {
			set = append(set, header)
		}
	}
	return set
}
