package jobs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"punctual/gen/db"
)

const hourly = `{"name":"hourly","intervalInSeconds":3600,"labels":{"team":"a"},"description":"text","maxAttempts":7}`

func (f fixture) put(key, change string) (View, bool) {
	f.t.Helper()
	view, isNew, err := f.Put(f.t.Context(), me, key, decode(f.t, change), Condition{})
	require.NoError(f.t, err)
	return view, isNew
}

func TestPutCreatesReplacesAndLeaves(t *testing.T) {
	t.Parallel()
	f := setup(t)
	created, isNew := f.put("a/b", hourly)
	require.True(t, isNew)
	require.Equal(t, "a/b", *created.Job.Key)

	same, isNew := f.put("a/b", hourly)
	require.False(t, isNew)
	require.Equal(t, created.Job, same.Job, "its version and the time of its change stay")

	replaced, isNew := f.put("a/b", `{"name":"hourly","intervalInSeconds":3600}`)
	require.False(t, isNew)
	require.Equal(t, created.Job.ID, replaced.Job.ID)
	require.EqualValues(t, 2, replaced.Job.Version)
	require.Empty(t, replaced.Job.Description, "what is left out gets its default")
	require.Nil(t, replaced.Job.Labels)
	require.EqualValues(t, 3, replaced.Job.MaxAttempts)
	require.Equal(t, created.NextRunAt, replaced.NextRunAt, "the schedule goes on")
	require.Equal(t, 2, f.count("select count(*) from audit where operation = 'putJobByKey'"))
}

func TestPutLeavesAPause(t *testing.T) {
	t.Parallel()
	f := setup(t)
	view, _ := f.put("k", hourly)
	f.update(view.Job.ID, `{"status":"PAUSED","statusReason":"by hand"}`)
	view, _ = f.put("k", `{"name":"other","cron":"0 9 * * *"}`)
	require.Equal(t, db.JobStatusPAUSED, view.Job.Status)
	require.Equal(t, "by hand", *view.Job.StatusReason)
	require.Equal(t, 0, f.count("select count(*) from due"))
}

func TestACompletedJobGoesOnWithANewSchedule(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.put("k", `{"name":"once","runAt":"2040-01-01T00:00:00Z"}`)
	f.exec("delete from due")
	f.exec("update jobs set status = 'COMPLETED', run_count = 1, run_at = '2020-01-01 00:00:00+00'")
	view, _ := f.put("k", `{"name":"once","runAt":"2020-01-01T00:00:00Z"}`)
	require.EqualValues(t, 1, view.Job.Version, "a definition that is done is as it was")
	view, _ = f.put("k", `{"name":"other","runAt":"2020-01-02T00:00:00Z"}`)
	require.Equal(t, db.JobStatusCOMPLETED, view.Job.Status, "nothing is due")
	view, _ = f.put("k", `{"name":"other","runAt":"2040-01-02T00:00:00Z"}`)
	require.Equal(t, db.JobStatusACTIVE, view.Job.Status)
	require.Equal(t, time.Date(2040, 1, 2, 0, 0, 0, 0, time.UTC), view.NextRunAt.UTC())
}

func TestPutUnderACondition(t *testing.T) {
	t.Parallel()
	f := setup(t)
	put := func(when Condition) error {
		_, _, err := f.Put(t.Context(), me, "k", decode(t, hourly), when)
		return err
	}
	var changed *VersionChanged
	require.ErrorAs(t, put(Condition{Exists: true}), &changed)
	require.Zero(t, changed.Current)
	require.ErrorAs(t, put(Condition{Exists: true, Versions: []int32{1}}), &changed)
	require.NoError(t, put(Condition{IsNew: true}))
	var exists *Exists
	require.ErrorAs(t, put(Condition{IsNew: true}), &exists)
	require.EqualValues(t, 1, exists.Current)
	require.NoError(t, put(Condition{Exists: true}))
	require.NoError(t, put(Condition{Exists: true, Versions: []int32{7, 1}}))
	require.ErrorAs(t, put(Condition{Exists: true, Versions: []int32{2}}), &changed)
	require.EqualValues(t, 1, changed.Current)

	require.ErrorAs(t, f.DeleteByKey(t.Context(), me, "k", 2), &changed)
	require.NoError(t, f.DeleteByKey(t.Context(), me, "k", 1))
	require.ErrorIs(t, f.DeleteByKey(t.Context(), me, "k"), ErrNotFound)
	_, err := f.GetByKey(t.Context(), me, "k")
	require.ErrorIs(t, err, ErrNotFound)
	require.Equal(t, 1, f.count("select count(*) from audit where operation = 'deleteJobByKey'"))
}

func TestTheKeyInABodyIsThatOfThePath(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for body, isRight := range map[string]bool{
		`{"key":"k","name":"n","intervalInSeconds":60}`:  true,
		`{"key":"l","name":"n","intervalInSeconds":60}`:  false,
		`{"key":null,"name":"n","intervalInSeconds":60}`: false,
	} {
		_, _, err := f.Put(t.Context(), me, "k", decode(t, body), Condition{})
		if isRight {
			require.NoError(t, err)
			continue
		}
		requireInvalid(t, err, map[string]Code{"key": Conflicting})
	}
}

func TestAKeyIsTakenOnce(t *testing.T) {
	t.Parallel()
	f := setup(t)
	const keyed = `{"key":"k","name":"n","intervalInSeconds":60}`
	f.create(keyed)
	_, err := f.Create(t.Context(), me, decode(t, keyed))
	var exists *KeyExists
	require.ErrorAs(t, err, &exists)
	require.Equal(t, []Field{{"key", NotUnique, "is the key of another job"}}, exists.Fields)
	_, err = f.CreateAll(t.Context(), me, f.definitions(`{"key":"l","name":"n","intervalInSeconds":60}`, keyed, hourly))
	require.ErrorAs(t, err, &exists)
	require.Equal(t, "jobs.1.key", exists.Fields[0].Name)
	require.Equal(t, 1, f.count("select count(*) from jobs"), "all or none")

	other := me
	other.Namespace = "other"
	f.exec(`insert into namespaces (name, description) values ($1, '')`, other.Namespace)
	_, err = f.Create(t.Context(), other, decode(t, keyed))
	require.NoError(t, err, "another namespace has keys of its own")

	require.NoError(t, f.DeleteByKey(t.Context(), me, "k"))
	f.create(keyed) // the key is free again
}

// together calls do a number of times at once.
func together(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	var ready, begin sync.WaitGroup
	begin.Add(1)
	group, ctx := errgroup.WithContext(ctx)
	for i := range n {
		ready.Add(1)
		group.Go(func() error {
			ready.Done()
			begin.Wait()
			return do(ctx, i)
		})
	}
	ready.Wait()
	begin.Done()
	return group.Wait()
}

func TestOneOfManyPutsCreates(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for round := range 10 {
		key := fmt.Sprint("k", round)
		var mu sync.Mutex
		created, versions := 0, map[int32]bool{}
		require.NoError(t, together(t.Context(), 8, func(ctx context.Context, i int) error {
			view, isNew, err := f.Put(ctx, me, key, decode(t, fmt.Sprintf(`{"name":"%d","intervalInSeconds":60}`, i)), Condition{})
			mu.Lock()
			defer mu.Unlock()
			versions[view.Job.Version] = true
			if isNew {
				created++
			}
			return err
		}))
		require.Equal(t, 1, created)
		require.Len(t, versions, 8, "each of the others makes a version")
	}
	require.Equal(t, 10, f.count("select count(*) from jobs"))
	require.Equal(t, 10, f.count("select count(*) from due"))
}

func TestOneOfManyCreationsHasTheKey(t *testing.T) {
	t.Parallel()
	f := setup(t)
	var mu sync.Mutex
	refused := 0
	require.NoError(t, together(t.Context(), 8, func(ctx context.Context, i int) error {
		var err error
		list := []Change{decode(t, `{"key":"k","name":"n","intervalInSeconds":60}`), decode(t, hourly)}
		if i%2 == 0 {
			_, err = f.Create(ctx, me, list[0])
		} else {
			_, err = f.CreateAll(ctx, me, list)
		}
		var exists *KeyExists
		if err == nil {
			return nil
		}
		if !errors.As(err, &exists) || len(exists.Fields) != 1 {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		refused++
		return nil
	}))
	require.Equal(t, 7, refused)
	require.Equal(t, 1, f.count("select count(*) from jobs where key = 'k'"))
}
