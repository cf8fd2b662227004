package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"punctual/internal/access"
	"punctual/internal/keys"
)

// There is no other way in: no spelling of a path, method or header reaches an operation without
// its scope.
func TestNoWayAround(t *testing.T) { //nolint:tparallel // what follows "each" comes after it
	t.Parallel()
	service, db := setupWithKeys(t)
	_, right := makeKey(t, db, "default", keys.Request{})
	_, wrong := makeKey(t, db, "default", keys.Request{Scopes: []access.Scope{access.Workers}})
	owner := service.as(t, right)
	job := owner.createJob(t, "kept", 3600, `"secret payload"`).Id
	before := owner.getJob(t, job)
	t.Run("each", func(t *testing.T) {
		noWayAround(t, service, db, job, right, wrong)
	})
	require.Equal(t, before, owner.getJob(t, job), "nobody has changed the job")
}

func noWayAround(t *testing.T, service instance, db *pgxpool.Pool, job uuid.UUID, right, wrong string) {
	t.Helper()
	t.Run("by another spelling of the path", func(t *testing.T) {
		t.Parallel()
		for _, path := range []string{"/api/v1/jobs", "/api/v1/jobs/" + job.String()} {
			for _, target := range spellings(path, service.url) {
				for name, headers := range map[string][]string{"no key": nil, "another scope": {"Authorization: Bearer " + wrong}} {
					for _, method := range []string{"GET", "HEAD", "DELETE", "POST"} {
						status, body := service.wire(t, method, target, headers...)
						assert.Contains(t, []int{400, 401, 403, 404, 405}, status, "%s %s with %s: %s", method, target, name, body)
						assert.NotContains(t, body, "secret payload")
					}
				}
			}
		}
	})
	t.Run("by a header that names another method or path", func(t *testing.T) {
		t.Parallel()
		_, reader := makeKey(t, db, "default", keys.Request{Scopes: []access.Scope{access.JobsRead}})
		path := "/api/v1/jobs/" + job.String()
		for _, name := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "_method"} {
			status, body := service.wire(t, "GET", path, "Authorization: Bearer "+reader, name+": DELETE")
			assert.Equal(t, http.StatusOK, status, "it is a GET: %s", body)
			status, body = service.wire(t, "POST", path, "Authorization: Bearer "+reader, name+": DELETE", "Content-Length: 0")
			assert.Equal(t, http.StatusMethodNotAllowed, status, "%s", body)
		}
		for _, name := range []string{"X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Path", "X-Forwarded-Prefix", "X-Forwarded-Uri"} {
			status, body := service.wire(t, "GET", "/livez", name+": "+path)
			assert.Equal(t, http.StatusOK, status)
			assert.NotContains(t, body, "secret payload")
			status, _ = service.wire(t, "GET", path, name+": /livez")
			assert.Equal(t, http.StatusUnauthorized, status)
		}
	})
	t.Run("HEAD asks for the same scope as GET", func(t *testing.T) {
		t.Parallel()
		for _, path := range []string{"/api/v1/jobs", "/api/v1/jobs/" + job.String()} {
			for header, want := range map[string]int{"X-None: 1": 401, "Authorization: Bearer " + wrong: 403, "Authorization: Bearer " + right: 200} {
				status, body := service.wire(t, "HEAD", path, header)
				assert.Equal(t, want, status, "%s %s", path, header)
				assert.Empty(t, body)
			}
		}
	})
	t.Run("the scheme in any letter case, and nothing else", func(t *testing.T) {
		t.Parallel()
		for value, want := range map[string]int{
			"Bearer " + right: 200, "bearer " + right: 200, "BEARER " + right: 200, "Bearer  " + right: 200,
			"Bearer\t" + right: 401, "Token " + right: 401, "Bearer " + right + ",": 401, "Bearer " + strings.ToUpper(right): 401,
		} {
			status, body := service.wire(t, "GET", "/api/v1/jobs", "Authorization: "+value)
			assert.Equal(t, want, status, "%q: %s", value, body)
		}
		for _, name := range []string{"X-Api-Key", "Proxy-Authorization", "X-Forwarded-Authorization", "Cookie"} {
			status, _ := service.wire(t, "GET", "/api/v1/jobs", name+": Bearer "+right)
			assert.Equal(t, http.StatusUnauthorized, status, name)
		}
		status, _ := service.wire(t, "GET", "/api/v1/jobs?access_token="+right+"&authorization="+right)
		assert.Equal(t, http.StatusUnauthorized, status, "a URL is written into logs")
	})
	t.Run("a request is for one namespace", func(t *testing.T) {
		t.Parallel()
		makeNamespace(t, db, "blue")
		makeNamespace(t, db, "red")
		_, all := makeKey(t, db, "default", keys.Request{IsServiceWide: true})
		_, bound := makeKey(t, db, "blue", keys.Request{})
		ask := func(key string, namespaces ...string) (int, string) {
			headers := []string{"Authorization: Bearer " + key, "X-Request-Id: same"}
			for _, name := range namespaces {
				headers = append(headers, "Punctual-Namespace: "+name)
			}
			return service.wire(t, "GET", "/api/v1/jobs", headers...)
		}
		answers := func(want int, key string, namespaces ...string) {
			status, body := ask(key, namespaces...)
			assert.Equal(t, want, status, "%q: %s", namespaces, body)
		}
		for _, key := range []string{all, bound} {
			answers(http.StatusOK, key)
			answers(http.StatusOK, key, "blue")
			for _, names := range [][]string{
				{"blue", "red"}, {"blue", "blue"}, {"blue,red"}, {"blue/q"}, {"Blue"}, {"blue."}, {"*"}, {"blue%2Fq"}, {"nobody's"}, {"", "red"},
			} {
				answers(http.StatusNotFound, key, names...)
			}
		}
		answers(http.StatusOK, all, "red")
		_, isElsewhere := ask(bound, "red")
		_, isNowhere := ask(bound, "green")
		assert.Contains(t, isNowhere, "namespace-not-found")
		assert.Equal(t, isNowhere, isElsewhere, "nobody learns which other namespaces there are")
	})
	// The contract is public, so it is no secret which paths and methods there are. What depends on
	// stored data is.
	t.Run("whoever has no key learns only what the contract says", func(t *testing.T) {
		t.Parallel()
		status, body := service.wire(t, "GET", "/api/v1/nothing")
		assert.Equal(t, http.StatusNotFound, status)
		assert.Contains(t, body, "path-not-found")
		for _, id := range []uuid.UUID{job, uuid.New()} {
			status, body = service.wire(t, "PUT", "/api/v1/jobs/"+id.String())
			assert.Equal(t, http.StatusMethodNotAllowed, status)
			assert.NotContains(t, body, id.String())
			status, body = service.wire(t, "GET", "/api/v1/jobs/"+id.String()+"?nope=1")
			assert.Equal(t, http.StatusUnauthorized, status)
			assert.NotContains(t, body, "nope")
		}
	})
}

// spellings returns other ways to write a path in a request line.
func spellings(path, url string) []string {
	return []string{
		path, path + "/", path + "//", path + "/.", path + "/./", path + "?", path + "??", path + "#", path + ";", path + ";a=b", path + "%20", path + "%00",
		path + "%2F", path + "%2f", path + "%23", path + "%3F", path + ".json", path + "/..", path + "/%2e%2e", path + "\\",
		"/" + path, "//" + path, "/." + path, "/./" + path, "/.." + path, "/x/.." + path, "/%2e%2e" + path, "/%2F" + path, "/%2f" + path[1:],
		"/livez/.." + path, "/livez/%2e%2e" + path, "/livez/..%2f" + path[1:], "/livez%2f.." + path, "/livez;" + path, "/livez?" + path, "/livez/" + path,
		"/docs/.." + path, "/docs/%2e%2e" + path, "/docs/..%2f" + path[1:], "/docs%2f.." + path, "/docs/" + path, "/openapi.json/.." + path,
		strings.Replace(path, "/api", "/%61pi", 1), strings.Replace(path, "jobs", "%6aobs", 1), strings.Replace(path, "jobs", "%256aobs", 1),
		strings.Replace(path, "jobs", "JOBS", 1), strings.Replace(path, "/v1/", "/V1/", 1), strings.Replace(path, "/v1/", "/v1//", 1),
		strings.Replace(path, "/v1/", "/v1/./", 1), strings.Replace(path, "/v1/", "/v1/x/../", 1), strings.Replace(path, "/v1/", "%2Fv1%2F", 1),
		strings.Replace(path, "/v1/", "/v1\\", 1), strings.ReplaceAll(path, "/", "%2F"), url + path, "http://livez" + path, "http://x@livez" + path, "*",
	}
}

// wire sends a request line and headers as they are, and returns the status and body of the answer.
func (i instance) wire(t *testing.T, method, target string, headers ...string) (status int, body string) {
	t.Helper()
	address := strings.TrimPrefix(i.url, "http://")
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
	require.NoError(t, err)
	defer conn.Close()
	lines := append([]string{method + " " + target + " HTTP/1.1", "Host: " + address, "Connection: close"}, headers...)
	_, err = fmt.Fprint(conn, strings.Join(lines, "\r\n")+"\r\n\r\n")
	require.NoError(t, err)
	answer, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	require.NoError(t, err, "%s %s", method, target)
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer.StatusCode, string(content)
}
