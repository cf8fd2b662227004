package ui

import (
	"cmp"
	"strconv"

	"punctual/gen/client"
	"punctual/internal/answers"
)

// listQueues shows the queues, and whether somebody serves them.
func listQueues(p *page) error {
	list, err := answers.Of[client.QueuePage](p.ListQueues(p.Context(), &client.ListQueuesParams{
		Cursor: p.cursor(), Limit: new(itemsOfPage),
	}))
	if err != nil {
		return err
	}
	return p.show("Queues", queuesPage(p, list))
}

// queueState says whether a queue is served.
func queueState(q client.Queue) (kind, string) {
	switch {
	case q.Waiting > 0 && q.WorkersAsking == 0 && q.Leased == 0:
		return bad, "Nobody serves it"
	case q.Waiting > 0 && q.WorkersAsking == 0:
		return warning, "All workers are busy"
	case q.Waiting > 0 || q.Leased > 0:
		return busy, "At work"
	case q.WorkersAsking > 0:
		return good, "Workers wait"
	default:
		return quiet, "Nothing to do"
	}
}

// waitingRuns is the number of runs that wait, as far as they are counted.
func waitingRuns(q client.Queue) string {
	text := strconv.Itoa(int(q.Waiting))
	if q.WaitingIsCapped {
		text += "+"
	}
	return text
}

// byNeed orders queues by what needs somebody first.
func byNeed(a, b client.Queue) int {
	order := map[kind]int{bad: 0, warning: 1, busy: 2, good: 3, quiet: 4}
	kindA, _ := queueState(a)
	kindB, _ := queueState(b)
	return cmp.Or(cmp.Compare(order[kindA], order[kindB]), cmp.Compare(a.Name, b.Name))
}
