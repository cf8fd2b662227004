package e2e

import "testing"

// A queue in which runs wait, and that nobody serves, comes first and says so.
func TestPageQueues(t *testing.T) {
	t.Parallel()
	service, _ := setup(t)
	b := openTab(t, service)
	b.open("/queues")
	b.reads("main", "No run waits for a worker")

	service.leaseOf(t, "a", 2)
	service.runOf(t, "b")
	b.press("g")
	b.press("q")
	b.reads("#queue-a", "At work")
	b.reads("#queue-b", "Nobody serves it")
	b.reads("tbody tr:first-child", "Nobody serves it")
}

func queuesShown(t *testing.T, service instance) string {
	t.Helper()
	service.runOf(t, "a-queue-with-a-name-that-is-quite-long-for-a-telephone")
	return "/queues"
}
