// Package chaos tests what the service promises if instances, connections, the network or
// PostgreSQL fail.
//
// It has only tests, behind the build tag chaos. They build the command and run several processes
// of it, on a PostgreSQL of their own with its default durability. While jobs fire, they break
// something on schedule. Then they compare the tables with the grid of each job, and the logs of
// all processes with the tables.
//
//	go test -count=1 -tags chaos -v ./internal/chaos
//	go test -count=1 -tags chaos -v -timeout 1h ./internal/chaos -chaos.full
//
// With -artifacts, the logs of all processes are kept.
//
// The tests need Linux, and TestCutNetwork needs root and iproute2. They do not run in parallel,
// since each of them loads the machine.
package chaos
