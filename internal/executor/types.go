package executor

import (
	"context"
	"encoding/json"
	"fmt"
)

// ByType maps the name of a type of target, as in the contract, to its executor. It is itself an
// Executor and a Checker. Workers or newer instances execute the types that it lacks.
type ByType map[string]Executor

var (
	_ Executor = ByType{}
	_ Checker  = ByType{}
)

// Execute calls the executor of the run's type of target.
func (b ByType) Execute(ctx context.Context, run Run) (*Result, error) {
	name := TypeOf(run.Definition)
	executor, ok := b[name]
	if !ok {
		return nil, fmt.Errorf("this instance does not execute targets of type %q", name)
	}
	return executor.Execute(ctx, run)
}

// Check returns the faults that the executor of its type finds in a definition.
func (b ByType) Check(definition, secrets json.RawMessage) []Fault {
	if checker, ok := b[TypeOf(definition)].(Checker); ok {
		return checker.Check(definition, secrets)
	}
	return nil
}

// QueueOf returns the queue in which runs of a target wait for workers, or nil if instances execute
// them.
func QueueOf(definition json.RawMessage) *string {
	var target struct {
		Queue *string `json:"queue"`
	}
	_ = json.Unmarshal(definition, &target) // what is no definition has no queue
	return target.Queue
}

// plainLog is the definition of a target without fields.
const plainLog = `{"type":"log"}`

// TypeOf returns the name of the type of a target, or the empty name if it is none.
func TypeOf(definition json.RawMessage) string {
	if string(definition) == plainLog {
		return "log" // nothing to allocate for
	}
	var target struct {
		Type string `json:"type"`
	}
	_ = json.Unmarshal(definition, &target) // what is no definition has no type
	return target.Type
}
