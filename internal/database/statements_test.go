package database

import (
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"

	"punctual/sql/migrations"
)

func TestStatements(t *testing.T) {
	t.Parallel()
	for script, want := range map[string][]string{
		"":                                     nil,
		" ; ;\n-- only a comment; here\n;":     nil,
		"select 1":                             {"select 1"},
		"select 1; select 2;":                  {"select 1", "select 2"},
		"-- why; so\nselect 1;\n-- the end":    {"-- why; so\nselect 1"},
		"select /* a; /* b; */ c; */ 1; x":     {"select /* a; /* b; */ c; */ 1", "x"},
		"select ';', 'it''s;'; x":              {"select ';', 'it''s;'", "x"},
		`select "a;""b;"; x`:                   {`select "a;""b;"`, "x"},
		`select E'it\';s', e'\\'; x`:           {`select E'it\';s', e'\\'`, "x"},
		`select 'back\'; x`:                    {`select 'back\'`, "x"},
		"do $$ begin; x; end $$; y":            {"do $$ begin; x; end $$", "y"},
		"do $a$ x; $$ y; $$; $b$; $a$; z":      {"do $a$ x; $$ y; $$; $b$; $a$", "z"},
		"do $\u00e4$ x; $\u00e4$; z":           {"do $\u00e4$ x; $\u00e4$", "z"},
		"select $1, a$b$c; x":                  {"select $1, a$b$c", "x"},
		"select namE'x;y'; z":                  {"select namE'x;y'", "z"},
		"select 'no end; x":                    {"select 'no end; x"},
		"select '\u00e4;'; select \u00e4 ; ":   {"select '\u00e4;'", "select \u00e4"},
		"create table a ();create table b ();": {"create table a ()", "create table b ()"},
	} {
		require.Equal(t, want, statements(script), "%q", script)
	}
}

func FuzzStatements(f *testing.F) {
	names, err := fs.Glob(migrations.FS, "*.sql")
	require.NoError(f, err)
	for _, name := range names {
		script, err := fs.ReadFile(migrations.FS, name)
		require.NoError(f, err)
		f.Add(string(script))
	}
	f.Fuzz(func(t *testing.T, script string) {
		for _, s := range statements(script) {
			require.NotEmpty(t, s)
			require.LessOrEqual(t, len(statements(s)), 1, "a statement is not split again")
		}
	})
}
