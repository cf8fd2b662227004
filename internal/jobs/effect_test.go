package jobs

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"punctual/gen/db"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// filled returns a definition whose fields are all set, to values that depend on n.
func filled(t *testing.T, n int) *Definition {
	t.Helper()
	job := &Definition{}
	value := reflect.ValueOf(job).Elem()
	for _, field := range value.Fields() {
		fill(t, field, n)
	}
	return job
}

func fill(t *testing.T, v reflect.Value, n int) {
	t.Helper()
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(noon.Add(time.Duration(n) * time.Hour)))
		return
	case uuid.UUID:
		v.Set(reflect.ValueOf(uuid.UUID{byte(n)}))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), n, n))
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(t, key, n)
		fill(t, value, n)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Struct:
		for _, field := range v.Fields() {
			fill(t, field, n)
		}
	case reflect.String:
		v.SetString(string(rune('a' + n)))
	case reflect.Bool:
		v.SetBool(n%2 == 1)
	case reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(n))
	default:
		require.Fail(t, "a field of a new kind", v.Kind())
	}
}

// Whatever an edit may change has an effect, so a new field that stands nowhere in effects fails
// here.
func TestEffectOfEachField(t *testing.T) {
	t.Parallel()
	notEdited := []string{"ID", "PausedSince", "LastRunAt", "LastRunFor", "LastRunStatus", "Failures", "RunCount", "Version", "UpdatedAt", "UpdatedBy", "SecretsVersion"}
	fields := reflect.VisibleFields(reflect.TypeFor[db.UpdateJobParams]())
	for _, field := range fields {
		if slices.Contains(notEdited, field.Name) {
			continue
		}
		before, after := filled(t, 1), filled(t, 1)
		require.Zero(t, effectOf(before, after), "equal definitions")
		fill(t, reflect.ValueOf(after).Elem().FieldByName(field.Name), 2)
		require.NotZero(t, effects[field.Name], "%s has no effect", field.Name)
		require.Equal(t, effects[field.Name], effectOf(before, after), "the effect of %s", field.Name)
	}
}

func TestEffectOfSeveralFields(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		edit func(*Definition)
		want effect
	}{
		"the same instant in another zone": {func(j *Definition) { j.RunAt = new(j.RunAt.In(time.FixedZone("east", 3600))) }, 0},
		"a name":                           {func(j *Definition) { j.Name = "other" }, stores},
		"a schedule and a queue":           {func(j *Definition) { j.Cron, j.FirstQueue = nil, new("q") }, reschedules | reroutes},
		"a policy and a name": {
			func(j *Definition) { j.OverlapPolicy, j.Name = db.OverlapPolicyALLOWALL, "other" }, revises | stores,
		},
		"a limit that is cleared": {func(j *Definition) { j.PauseAfterFailures = nil }, revises},
		"fewer attempts":          {func(j *Definition) { j.MaxAttempts = 0 }, endsWaiting},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before, after := filled(t, 1), filled(t, 1)
			c.edit(after)
			require.Equal(t, c.want, effectOf(before, after))
		})
	}
}

// What stores a job copies each of its fields.
func TestParamsAreComplete(t *testing.T) {
	t.Parallel()
	job := filled(t, 3)
	derived := []string{"IsEstimate", "RequestID", "Connection"}
	for _, params := range []any{createParams(job, job.CreatedAt), copyParams(job), updateParams(job)} {
		value := reflect.ValueOf(params)
		for _, field := range reflect.VisibleFields(value.Type()) {
			if slices.Contains(derived, field.Name) {
				continue
			}
			want := reflect.ValueOf(job).Elem().FieldByName(field.Name).Interface()
			require.Equal(t, want, value.FieldByIndex(field.Index).Interface(), "%T.%s", params, field.Name)
		}
	}
}
