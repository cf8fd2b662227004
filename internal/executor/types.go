package executor

import (
	"context"
	"encoding/json"
	"fmt"
)

// ByType has the executor of each type of target, by the type's name in the contract. It is an Executor and a Checker itself.
// Types that are not in it are executed elsewhere, or by another version.
type ByType map[string]Executor

var (
	_ Executor = ByType{}
	_ Checker  = ByType{}
)

// Execute has the executor of the run's type execute it.
func (b ByType) Execute(ctx context.Context, run Run) (*Result, error) {
	name := typeOf(run.Definition)
	executor, ok := b[name]
	if !ok {
		return nil, fmt.Errorf("this instance does not execute targets of type %q", name)
	}
	return executor.Execute(ctx, run)
}

// Check returns the faults that the executor of its type finds in a definition.
func (b ByType) Check(definition, secrets json.RawMessage) []Fault {
	if checker, ok := b[typeOf(definition)].(Checker); ok {
		return checker.Check(definition, secrets)
	}
	return nil
}

// QueueOf returns the queue in which runs of a target wait for workers; nil: they do not.
func QueueOf(definition json.RawMessage) *string {
	var target struct {
		Queue *string `json:"queue"`
	}
	_ = json.Unmarshal(definition, &target) // what is no definition has no queue
	return target.Queue
}

func typeOf(definition json.RawMessage) string {
	var target struct {
		Type string `json:"type"`
	}
	_ = json.Unmarshal(definition, &target) // what is no definition has no type
	return target.Type
}
