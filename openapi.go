// Package punctual holds the HTTP contract, for the binary to serve as it was written.
package punctual

import _ "embed"

// OpenAPI is openapi.yaml.
//
//go:embed openapi.yaml
var OpenAPI []byte

// JobSchema is the JSON schema of files with definitions of jobs.
//
//go:embed gen/schema/job.schema.json
var JobSchema []byte
