// Command queries writes the statements that share text, for sqlc to read: it executes the
// templates in sql/templates. Those that only define what others use become no file.
package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"text/template"
)

func main() {
	if err := run("sql/templates", "gen/sql"); err != nil {
		fmt.Fprintln(os.Stderr, "queries:", err)
		os.Exit(1)
	}
}

func run(from, to string) error {
	all, err := template.ParseGlob(filepath.Join(from, "*.sql"))
	if err != nil {
		return err
	}
	files := map[string][]byte{}
	for _, t := range all.Templates() {
		var out bytes.Buffer
		if err := t.Execute(&out, nil); err != nil {
			return err
		}
		if filepath.Ext(t.Name()) == ".sql" && len(bytes.TrimSpace(out.Bytes())) > 0 {
			files[t.Name()] = fmt.Appendf(nil, "-- Generated from %s/%s. DO NOT EDIT.\n\n%s", from, t.Name(), out.String())
		}
	}
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	if err := os.MkdirAll(to, 0o755); err != nil { //nolint:gosec // a directory of the checkout
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(to, name), text, 0o644); err != nil { //nolint:gosec // a file of the checkout
			return err
		}
	}
	return nil
}
