package jobfiles

import (
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// variable is how a secret field names a variable of the environment.
var variable = regexp.MustCompile(`\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}`)

// secretsOfConnections are the fields of a connection that the contract marks writeOnly.
var secretsOfConnections = []string{
	"secretHeaders", "signingSecrets", "auth.password", "auth.token", "auth.clientSecret", "tls.clientKey",
}

// isSecret reports whether a value is in a field that the contract marks writeOnly: of the target
// of a job, or of a connection.
func (w *writer) isSecret(path []string) bool {
	if w.isConnection {
		return len(path) > 1 && (slices.Contains(secretsOfConnections, path[0]) ||
			slices.Contains(secretsOfConnections, strings.Join(path, ".")))
	}
	return len(path) > 2 && path[0] == "target" && slices.Contains(Contract().Secrets, path[1])
}

// resolve returns the text of a secret field with the values of the variables that it names. What
// it returns is never shown.
func (w *writer) resolve(node *yaml.Node, path []string) (text string, err error) {
	text = variable.ReplaceAllStringFunc(node.Value, func(match string) string {
		name := variable.FindStringSubmatch(match)[1]
		value, isSet := w.lookup(name)
		if !isSet || value == "" {
			err = w.fault(node, path, "the environment has no variable %s", name)
		}
		return value
	})
	return text, err
}
