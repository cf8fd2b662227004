// Package migrations embeds the schema, so that the binary brings it along.
package migrations

import "embed"

// FS holds the migrations in dbmate's format, applied in the order of their names.
//
//go:embed *.sql
var FS embed.FS
