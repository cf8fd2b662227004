package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"punctual/gen/client"
	"punctual/internal/jobfiles"
)

// keyed is a kind of things that clients name by keys, and change one by one.
type keyed[T any] struct {
	// noun is what one is called, in messages.
	noun  string
	table table[T]
	// definition returns what a file says of one.
	definition func(jobfiles.Definition, func(string) (string, bool)) (json.RawMessage, error)
	get        func(*client.Client, context.Context, string, ...client.RequestEditorFn) (*http.Response, error)
	// set replaces or changes one that exists. It gets the fields without the key.
	set    func(*client.Client, context.Context, string, string, io.Reader, ...client.RequestEditorFn) (*http.Response, error)
	create func(context.Context, *client.Client, io.Reader) (*http.Response, error)
	remove func(*client.Client, context.Context, string, ...client.RequestEditorFn) (*http.Response, error)
}

// showAll shows those with some keys.
func (k keyed[T]) showAll(ctx context.Context, s *Session, keys []string) error {
	var all []T
	for _, key := range keys {
		one, err := answer[T](k.get(s.Client, ctx, key))
		if err != nil {
			return err
		}
		all = append(all, one)
	}
	return k.table.show(s, all)
}

// applyFiles applies what files say, one by one, after all of them were read.
func (k keyed[T]) applyFiles(ctx context.Context, s *Session, files []string) error {
	definitions, err := jobfiles.Read(files, s.In)
	if err != nil {
		return err
	}
	var faults []error
	all := make([]map[string]json.RawMessage, len(definitions))
	for i, definition := range definitions {
		text, err := k.definition(definition, os.LookupEnv)
		if err == nil {
			err = json.Unmarshal(text, &all[i])
		}
		faults = append(faults, err)
	}
	if err := errors.Join(faults...); err != nil {
		return err
	}
	for i, fields := range all {
		if err := k.apply(ctx, s, definitions[i].Key, fields); err != nil {
			return err
		}
	}
	return nil
}

// apply sets the one with a key, or creates it if there is none.
func (k keyed[T]) apply(ctx context.Context, s *Session, key string, fields map[string]json.RawMessage) error {
	if key == "" {
		return usage("a %s has no key", k.noun)
	}
	delete(fields, "key")
	rest, err := json.Marshal(fields)
	if err != nil {
		return fmt.Errorf("encode the request: %w", err)
	}
	answered, err := k.set(s.Client, ctx, key, "application/json", bytes.NewReader(rest))
	if err != nil || answered.StatusCode != http.StatusNotFound {
		if err := done(answered, err); err != nil {
			return err
		}
		return s.say("Applied: the %s %s.", k.noun, key)
	}
	_ = answered.Body.Close()
	if fields["key"], err = json.Marshal(key); err != nil {
		return fmt.Errorf("encode the request: %w", err)
	}
	whole, err := json.Marshal(fields)
	if err != nil {
		return fmt.Errorf("encode the request: %w", err)
	}
	if err := done(k.create(ctx, s.Client, bytes.NewReader(whole))); err != nil {
		return err
	}
	return s.say("Created: the %s %s.", k.noun, key)
}

// deleteAll deletes those with some keys. It asks the user before, unless isSure.
func (k keyed[T]) deleteAll(ctx context.Context, s *Session, keys []string, isSure bool) error {
	if !isSure {
		if err := s.confirm(ctx, "delete "+count(len(keys), k.noun)); err != nil {
			return err
		}
	}
	for _, key := range keys {
		if err := done(k.remove(s.Client, ctx, key)); err != nil {
			return err
		}
		if err := s.say("Deleted: the %s %s.", k.noun, key); err != nil {
			return err
		}
	}
	return nil
}
