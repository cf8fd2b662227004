package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// written has everything that the instances of this package log, at the level DEBUG, and all rows
// of their databases at the end of each test.
var written leakScan

// leakScan finds secrets in what was written before or after it got to know them. So it keeps all
// lines until the end.
type leakScan struct {
	mu   sync.Mutex
	file *os.File
	// secrets are those that no line may have, each with where it comes from.
	secrets map[string]string
	// lines and rows count what was written.
	lines, rows int
	// open counts the instances of each database.
	open map[string]int
}

// shortestSecret is the length of a secret that is not in a line by accident.
const shortestSecret = 12

// begin makes room for lines, and gets to know what tests send by Go's client.
func (s *leakScan) begin() (err error) {
	s.secrets, s.open = map[string]string{}, map[string]int{}
	s.file, err = os.CreateTemp("", "punctual-e2e-written-")
	http.DefaultTransport = learning{http.DefaultTransport, s}
	return err
}

// Write takes a line of a log.
func (s *leakScan) Write(line []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines++
	return s.file.Write(line)
}

// count returns how many lines of logs there are.
func (s *leakScan) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lines
}

// secret says that no line may have a text. A text that is too short, or that is made of too few
// characters, would be found where it is no secret.
func (s *leakScan) secret(origin, text string) {
	kinds := map[rune]bool{}
	for _, r := range text {
		kinds[r] = true
	}
	if len(text) < shortestSecret || len(kinds) < 6 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secrets[text] = origin
}

// credentials says that no line may have the secret part of a value of the header Authorization.
func (s *leakScan) credentials(origin, value string) {
	_, text, _ := strings.Cut(value, " ")
	switch {
	case strings.HasPrefix(text, "punc_"):
		s.secret(origin, text[strings.LastIndex(text, "_")+1:])
	case strings.Count(text, ".") == 2: // the signature; the rest can be said by whoever knows it
		s.secret(origin, text[strings.LastIndex(text, ".")+1:])
	default:
		s.secret(origin, text)
	}
}

// opened notes that an instance uses a database.
func (s *leakScan) opened(databaseURL string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[databaseURL]++
}

// closed takes all rows of a database when its last instance has ended.
func (s *leakScan) closed(t *testing.T, databaseURL string) {
	t.Helper()
	s.mu.Lock()
	s.open[databaseURL]--
	isLast := s.open[databaseURL] == 0
	s.mu.Unlock()
	if !isLast || databaseURL == "" {
		return
	}
	ctx := context.WithoutCancel(t.Context())
	db, err := pgx.Connect(ctx, databaseURL)
	require.NoError(t, err, "the rows can be read")
	defer func() { _ = db.Close(ctx) }()
	rows := rowsOf(ctx, t, db)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows += len(rows)
	_, err = s.file.WriteString(strings.Join(rows, "\n") + "\n")
	require.NoError(t, err)
}

// rowsOf returns all rows of all tables, as JSON.
func rowsOf(ctx context.Context, t *testing.T, db *pgx.Conn) (all []string) {
	t.Helper()
	found, err := db.Query(ctx, `select format('select to_jsonb(x)::text from %I.%I x', n.nspname, c.relname)
		from pg_class c join pg_namespace n on n.oid = c.relnamespace
		where n.nspname not like 'pg\_%' and n.nspname <> 'information_schema' and c.relkind in ('r', 'p')
			and not c.relispartition`)
	require.NoError(t, err)
	tables, err := pgx.CollectRows(found, pgx.RowTo[string])
	require.NoError(t, err)
	require.Greater(t, len(tables), 4)
	for _, table := range tables {
		found, err := db.Query(ctx, table, pgx.QueryExecModeExec)
		require.NoError(t, err)
		rows, err := pgx.CollectRows(found, pgx.RowTo[string])
		require.NoError(t, err)
		all = append(all, rows...)
	}
	return all
}

// find returns what was written with a secret in it, as sentences, and how much was searched.
func (s *leakScan) find() (leaks []string, summary string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// All forms of secrets, by how they begin.
	forms := map[string][]form{}
	for secret, origin := range s.secrets {
		for _, f := range formsOf(secret, origin) {
			forms[f.text[:shortestSecret]] = append(forms[f.text[:shortestSecret]], f)
		}
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return nil, "", err
	}
	lines := bufio.NewScanner(s.file)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		line := lines.Text()
		for i := range max(0, len(line)-shortestSecret+1) {
			for _, f := range forms[line[i:i+shortestSecret]] {
				if strings.HasPrefix(line[i:], f.text) {
					leaks = append(leaks, fmt.Sprintf("%s is there %s: %.1000s", f.origin, f.name, line))
				}
			}
		}
	}
	summary = fmt.Sprintf("%d log lines and %d rows were searched for %d secrets", s.lines, s.rows, len(s.secrets))
	return leaks, summary, lines.Err()
}

// end removes what begin has made.
func (s *leakScan) end() {
	_ = s.file.Close() // it is not needed any more
	_ = os.Remove(s.file.Name())
}

// form is a form of a secret.
type form struct{ origin, name, text string }

// formsOf returns the forms in which a secret would be readable.
func formsOf(secret, origin string) (forms []form) {
	quoted, _ := json.Marshal(secret) // a string always is JSON
	var plain bytes.Buffer
	encoder := json.NewEncoder(&plain)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(secret)
	add := func(name, text string) {
		if len(text) >= shortestSecret {
			forms = append(forms, form{origin, name, text})
		}
	}
	add("in the clear", secret)
	add("in JSON", strings.Trim(string(quoted), `"`))
	add("in JSON", strings.Trim(strings.TrimSpace(plain.String()), `"`))
	add("as a URL has it", url.QueryEscape(secret))
	add("in hex", hex.EncodeToString([]byte(secret)))
	add("in hex", strings.ToUpper(hex.EncodeToString([]byte(secret))))
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for before := range 3 { // other bytes before it shift what it becomes
			text := encoding.EncodeToString(append(make([]byte, before), secret...))
			first, last := (before*8+5)/6, (before+len(secret))*8/6
			add("in base64", text[first:last])
		}
	}
	return forms
}

// learning gets to know the secrets of requests and answers of tests.
type learning struct {
	http.RoundTripper
	scan *leakScan
}

// RoundTrip implements http.RoundTripper.
func (l learning) RoundTrip(r *http.Request) (*http.Response, error) {
	for _, value := range r.Header.Values("Authorization") {
		l.scan.credentials("the credentials of "+r.Method+" "+r.URL.Path, value)
	}
	if r.GetBody != nil {
		if body, err := r.GetBody(); err == nil {
			text, _ := io.ReadAll(body)
			l.body(text)
		}
	}
	answer, err := l.RoundTripper.RoundTrip(r)
	if err != nil || r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/keys") {
		return answer, err
	}
	text, err := io.ReadAll(answer.Body)
	answer.Body = io.NopCloser(bytes.NewReader(text))
	var made struct{ Key string }
	if json.Unmarshal(text, &made) == nil {
		l.scan.credentials("a key that was made", "Bearer "+made.Key)
	}
	return answer, err
}

// body gets to know the secrets of a target.
func (l learning) body(text []byte) {
	var job struct {
		Target struct {
			SecretHeaders  map[string]string
			SigningSecrets []string
		}
	}
	if !bytes.Contains(text, []byte("ecret")) || json.Unmarshal(text, &job) != nil {
		return
	}
	for name, value := range job.Target.SecretHeaders {
		l.scan.secret("the secret header "+name, value)
		if word, rest, isTwo := strings.Cut(value, " "); isTwo && len(word) < len(rest) {
			l.scan.secret("the secret header "+name, rest)
		}
	}
	for _, secret := range job.Target.SigningSecrets {
		core := strings.TrimPrefix(secret, "whsec_")
		l.scan.secret("a signing secret", core)
		if raw, err := base64.StdEncoding.DecodeString(core); err == nil {
			l.scan.secret("a signing secret, decoded", string(raw))
		}
	}
}
