// Package chaos tests the promises that count when things die: instances, connections, the network, PostgreSQL.
//
// It has nothing but tests, behind the build tag chaos. They build the command, run it as processes against a PostgreSQL
// of their own with its default durability, break something on schedule while jobs fire, and then compare the tables
// with the grid of each job, and the logs of all processes with the tables.
//
//	go test -count=1 -tags chaos -v ./internal/chaos
//	go test -count=1 -tags chaos -v -timeout 1h ./internal/chaos -chaos.full
//
// With -artifacts, the logs of all processes are kept.
//
// They need Linux, and the one about a cut network needs root and iproute2. They do not run in parallel: each is a load.
package chaos
